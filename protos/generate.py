"""Makes services/earshot/gen and deploy/envoy/earshot.binpb from the protos.

Run it after a change of a .proto file: ``python protos/generate.py``.
``--into DIR`` writes the same tree elsewhere, so that a test can compare the two.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2

PROTOS = Path(__file__).resolve().parent
REPOSITORY = PROTOS.parent
PACKAGE = Path("earshot/v1")
CODE = Path("services/earshot/gen/v1")
DESCRIPTORS = Path("deploy/envoy/earshot.binpb")
# What errors carry: without them Envoy cannot write an error with details as JSON.
ERROR_PROTOS = ("google/rpc/error_details.proto", "google/rpc/status.proto")


def generate(into: Path) -> None:
    """Writes the generated tree below ``into``, as it lies in the repository."""
    with tempfile.TemporaryDirectory() as scratch:
        _protoc(Path(scratch))
        _place_code(Path(scratch) / PACKAGE, into / CODE)
        _place_descriptors(Path(scratch) / "descriptors", into / DESCRIPTORS)


def _protoc(out: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTOS}",
        *(f"--proto_path={path}" for path in _google_protos()),
        *(f"--{plugin}={out}" for plugin in ("python_out", "mypy_out", "grpc_python_out", "mypy_grpc_out")),
        f"--descriptor_set_out={out / 'descriptors'}",
        "--include_imports",
        *sorted(str(path) for path in (PROTOS / PACKAGE).glob("*.proto")),
        *ERROR_PROTOS,
    ]
    subprocess.run(command, check=True)


def _google_protos() -> list[Path]:
    """Where the google/ imports lie: grpcio-tools and googleapis-common-protos carry them."""
    well_known = Path(str(files("grpc_tools"))) / "_proto"
    common = Path(annotations_pb2.__file__).parents[2]
    return [common, well_known]


def _place_code(made: Path, into: Path) -> None:
    """protoc imports by proto package; the code lives in ``earshot.gen`` instead."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    (into / "__init__.py").touch()
    for path in sorted(made.iterdir()):
        text = path.read_text().replace("from earshot.v1 import", "from earshot.gen.v1 import")
        (into / path.name).write_text(text)


def _place_descriptors(made: Path, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, into)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=REPOSITORY)
    generate(parser.parse_args().into)
