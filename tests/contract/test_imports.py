"""Who may import whom, and what must not come along."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "services" / "earshot"

# Each room, and the rooms that it may import; errors, gen and the package itself are open to all.
ALLOWED = {
    "rpc": set(),
    "audio": set(),
    "weights": set(),
    "client": {"rpc"},
    "runtime": {"rpc"},
    "quotas": {"runtime", "rpc"},
    "stt": {"quotas", "runtime", "rpc", "audio", "weights"},
    "classification": {"quotas", "runtime", "rpc", "client", "weights"},
    "load": {"client", "rpc"},
    "local": {"client", "rpc"},
    "cluster": {"client", "rpc"},
    "cli": {"local", "cluster", "load", "client", "rpc", "weights"},
}
ENGINE_LIBRARIES = {
    "av",
    "ctranslate2",
    "faster_whisper",
    "glin_profanity",
    "onnx",
    "onnxruntime",
    "phonenumbers",
    "pocketsphinx",
    "text_to_num",
    "tokenizers",
    "torch",
    "transformers",
    "whisper",
}


def _sources() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if "gen" not in path.relative_to(PACKAGE).parts)


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "earshot" and len(parts) > 1 else ""


def test_every_room_is_known() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == ALLOWED.keys() | {"gen"}


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_one_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in (PACKAGE / room).rglob("*.py")
        for module in _imported(path)
        if _room(module) in ALLOWED.keys() - ALLOWED[room] - {room}
    ]
    assert not wrong


def test_the_error_tree_knows_no_grpc() -> None:
    assert not [name for name in _imported(PACKAGE / "errors.py") if name.partition(".")[0] == "grpc"]


def test_only_transcripts_has_the_client() -> None:
    users = [
        path.name
        for path in (PACKAGE / "classification").rglob("*.py")
        if any(_room(module) == "client" for module in _imported(path))
    ]
    assert users == ["transcripts.py"]


def test_engine_libraries_stay_in_engine_processes() -> None:
    """Only what runs in a worker imports them: engines, decoding, the segmenter and the weights' loading.

    And the client's own encoding, when it is asked for, which no service asks for.
    """
    homes = (
        "stt/engines/",
        "classification/engines/",
        "audio/",
        "weights/",
        "stt/masking/",
        "stt/speech_segments.py",
        "client/streaming/transcoding.py",
    )
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in _sources()
        if not str(path.relative_to(PACKAGE)).startswith(homes)
        for module in _imported(path)
        if module.partition(".")[0] in ENGINE_LIBRARIES
    ]
    assert not wrong


def _modules_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize("service", ["stt", "classification"])
def test_a_front_process_has_no_engine_library(service: str) -> None:
    loaded = _modules_after(f"import earshot.{service}.__main__")
    assert not loaded & (ENGINE_LIBRARIES | {"numpy"})
    assert "grpc" in loaded


@pytest.mark.parametrize(
    "module",
    [
        "earshot.runtime.worker",
        "earshot.stt.engine_task",
        "earshot.stt.decode_task",
        "earshot.classification.engine_task",
    ],
)
def test_a_worker_has_no_grpc(module: str) -> None:
    assert not _modules_after(f"import {module}") & {"grpc", "google", "pydantic", "prometheus_client"}


@pytest.mark.parametrize("module", ["earshot.client", "earshot.cli.__main__"])
def test_the_light_install_needs_no_extra(module: str) -> None:
    extras = {
        "numpy",
        "msgspec",
        "pydantic",
        "structlog",
        "prometheus_client",
        "yaml",
        "psutil",
        "kubernetes",
    }
    assert not _modules_after(f"import {module}") & (ENGINE_LIBRARIES | extras)
