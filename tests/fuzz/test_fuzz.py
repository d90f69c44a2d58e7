"""Every input that is kept, and a few seconds of the fuzzer itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
KEPT = sorted(CORPUS.glob("*/*"))
RUNS = 1_000  # seconds; `make fuzz` takes as long as it is told


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_is_kept(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_folder_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_a_short_run(tmp_path: Path) -> None:
    run = fuzzed(
        "everything", f"-runs={RUNS}", "-max_len=4096", f"-artifact_prefix={tmp_path}/", str(seeds(tmp_path))
    )
    assert run.returncode == 0, run.stderr[-3_000:]
    assert f"Done {RUNS} runs" in run.stderr


def test_it_stops_at_a_fault(tmp_path: Path) -> None:
    """Else the run above would show nothing."""
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from tests.fuzz import targets\n"
        "def broken(data):\n"
        "    assert data[1:5] != b'fLaC'\n"
        "targets.TARGETS['audio'] = broken\n"
        "from tests.fuzz.__main__ import main\n"
        "main()\n"
    )
    run = started([str(broken), "audio", "-runs=1000", f"-artifact_prefix={tmp_path}/"])
    assert run.returncode != 0
    assert "AssertionError" in run.stdout + run.stderr


def seeds(folder: Path) -> Path:
    """What is kept, as the target of all targets takes it: each with the byte of its own before it."""
    numbers = {name: number for number, name in enumerate(TARGETS)}
    for path in KEPT:
        (folder / f"{path.parent.name}-{path.name}").write_bytes(
            bytes([numbers[path.parent.name]]) + path.read_bytes()
        )
    return folder


def fuzzed(target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The fuzzer on one target."""
    return started(["-m", "tests.fuzz", target, *options])


def started(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
