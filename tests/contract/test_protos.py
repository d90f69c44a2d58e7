"""The API's style, and the code made of it."""

from __future__ import annotations

import filecmp
import subprocess
import sys
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from earshot.gen.v1 import audio_pb2, classification_pb2, models_pb2, speech_pb2, streaming_pb2, usage_pb2

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOS = REPOSITORY / "protos"
MODULES = (audio_pb2, classification_pb2, models_pb2, speech_pb2, streaming_pb2, usage_pb2)


def test_generated_code_is_what_the_protos_make(tmp_path: Path) -> None:
    command = [sys.executable, str(PROTOS / "generate.py"), "--into", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    for tree in ("services/earshot/gen/v1", "deploy/envoy"):
        made = sorted(path.relative_to(tmp_path) for path in (tmp_path / tree).iterdir())
        assert made
        _, wrong, missing = filecmp.cmpfiles(tmp_path, REPOSITORY, made, shallow=False)  # type: ignore[type-var]
        assert not wrong + missing, "run: python protos/generate.py"
    committed = {
        path.name for path in (REPOSITORY / "services/earshot/gen/v1").iterdir() if path.suffix != ""
    }
    assert committed - {"__pycache__"} == {
        path.name for path in (tmp_path / "services/earshot/gen/v1").iterdir()
    }


def test_buf_finds_nothing(tmp_path: Path) -> None:
    """buf reads an image made by protoc: its own way to the google protos is the network."""
    image = tmp_path / "image.binpb"
    common = Path(annotations_pb2.__file__).parents[2]
    sources = sorted(str(path) for path in (PROTOS / "earshot/v1").glob("*.proto"))
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", f"--proto_path={common}"),
            *("--include_imports", "--include_source_info", f"--descriptor_set_out={image}", *sources),
        ],
        check=True,
    )
    lint = ["buf", "lint", str(image), "--config", str(PROTOS / "buf.yaml"), "--path", "earshot/v1"]
    run = subprocess.run(lint, capture_output=True, text=True, check=False, cwd=PROTOS)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_field_says_what_it_means() -> None:
    silent = []
    for path in sorted((PROTOS / "earshot/v1").glob("*.proto")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            declares = (
                line.strip().endswith(";") and "=" in line and "option" not in line and "syntax" not in line
            )
            if declares and not lines[number - 1].strip().startswith("//"):
                silent.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert not silent


def test_unary_calls_have_a_rest_path() -> None:
    for module in MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                declared = descriptor_pb2.MethodDescriptorProto()
                method.CopyToProto(declared)
                unary = not (declared.client_streaming or declared.server_streaming)
                assert declared.options.HasExtension(annotations_pb2.http) == unary, method.full_name
