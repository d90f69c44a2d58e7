"""Every input that is kept, and a few seconds of the fuzzer itself."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from tests.conftest import REPOSITORY
from tests.drills.cases import fuzzed as fuzzing
from tests.drills.counted import counted
from tests.drills.drill import Result
from tests.fuzz import mutated
from tests.fuzz.messages import READERS, taken_apart
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
KEPT = sorted(CORPUS.glob("*/*"))
RUNS = 1_000  # seconds; `make fuzz` takes as long as it is told


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_is_kept(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_folder_is_of_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_make_fuzz_runs_every_target() -> None:
    said = re.search(r"^FUZZ_TARGETS \?= (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert said
    assert set(said[1].split()) == TARGETS.keys()


def test_every_request_of_the_api_is_taken_apart() -> None:
    assert {kind.DESCRIPTOR.full_name for kind in READERS} == {
        method.input_type.full_name for service in services() for method in service.methods
    }


def services() -> list[Any]:
    """Of all protos that there are."""
    names = [path.stem for path in (REPOSITORY / "protos/earshot/v1").glob("*.proto")]
    modules = [importlib.import_module(f"earshot.gen.v1.{name}_pb2") for name in names]
    return [one for module in modules for one in module.DESCRIPTOR.services_by_name.values()]


@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.DESCRIPTOR.name)
def test_messages_that_are_kept_to_begin_with_are_right(kind: type[Message]) -> None:
    """Else what is made of them is refused at the first field, and nothing after it is tried."""
    kept = list((CORPUS / "messages").glob(f"{kind.DESCRIPTOR.name}*"))
    assert bool(kept) == bool(kind.DESCRIPTOR.fields)
    assert all(taken_apart(kind, path.read_bytes()) for path in kept)


def test_a_short_run(tmp_path: Path) -> None:
    run = fuzzed(
        "everything", f"-runs={RUNS}", "-max_len=4096", f"-artifact_prefix={tmp_path}/", str(seeds(tmp_path))
    )
    assert run.returncode == 0, run.stderr[-3_000:]
    assert f"Done {RUNS} runs" in run.stderr


def faulty(folder: Path, fault: str = "assert data[1:5] != b'fLaC'") -> Path:
    """The fuzzer on a target that fails at one of the inputs that are kept."""
    broken = folder / "broken.py"
    broken.write_text(
        "from tests.fuzz import targets\n"
        "def broken(data):\n"
        f"    {fault}\n"
        "targets.TARGETS['audio'] = broken\n"
        "from tests.fuzz.__main__ import main\n"
        "main()\n"
    )
    return broken


def test_it_stops_at_a_fault(tmp_path: Path) -> None:
    """Else the run above would show nothing."""
    run = started([str(faulty(tmp_path)), "audio", "-runs=1000", f"-artifact_prefix={tmp_path}/"])
    assert run.returncode != 0
    assert "AssertionError" in run.stdout + run.stderr


def test_an_input_that_has_no_end_is_a_fault(tmp_path: Path) -> None:
    """By the limit of the program itself, whoever starts it."""
    hanging = str(faulty(tmp_path, "while True: pass"))
    run = started([hanging, "audio", "-runs=1", f"-artifact_prefix={tmp_path}/"])
    assert run.returncode != 0
    assert "timeout after 1" in run.stderr
    assert [path.name.split("-")[0] for path in tmp_path.iterdir() if path.name != "broken.py"] == ["timeout"]


async def test_a_drill_counts_what_was_tried(tmp_path: Path) -> None:
    result = Result()
    await fuzzing.fuzzed("labels", tmp_path, 2, result)
    assert result.broken == []
    assert result.counts["of labels"] > 100
    assert result.counts["branches reached by labels"] > 10


async def test_a_drill_does_not_hold_where_the_fuzzer_finds_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setattr(fuzzing, "_FINDS", tmp_path / "finds")
    result = Result()
    await fuzzing.fuzzed("audio", tmp_path, 60, result, (str(faulty(tmp_path)),))
    (said,) = result.broken
    (found,) = (tmp_path / "finds").iterdir()
    assert "AssertionError" in said
    assert str(found) in said


ENDS = {
    "hangs": ("sum(itertools.repeat(0))", "input 3: it hangs"),  # in native code, for ever
    "crashes": ("os.abort()", "input 3: SIGABRT"),
    "fails": ("raise ValueError('no')", "input 3: code 1 ValueError: no"),
}


@pytest.mark.parametrize(("what", "said"), ENDS.values(), ids=ENDS)
async def test_a_drill_says_which_input_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    at, result = tmp_path / "at", Result()
    command = (sys.executable, "-W", "ignore", str(broken_by(tmp_path, what)), "audio", "9")
    found = await counted("audio", (*command, "--limit", "0.5", "--at", str(at)), result, at=at)
    assert found is None
    assert said in result.broken[0]
    assert ("broken.py" in result.broken[0]) == (said != ENDS["fails"][1]), "and where"


def broken_by(folder: Path, what: str) -> Path:
    """A target that does so at its fourth input."""
    path = folder / "broken.py"
    path.write_text(
        "import itertools, os\n"
        "from tests.fuzz import mutated, targets\n"
        "numbers = itertools.count()\n"
        "def broken(data):\n"
        "    if next(numbers) == 3:\n"
        f"        {what}\n"
        "targets.TARGETS['audio'] = broken\n"
        "mutated.main()\n"
    )
    return path


async def test_a_drill_gives_up_what_has_no_end(tmp_path: Path) -> None:
    result = Result()
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    assert await counted("audio", command, result, longest=0.5) is None
    assert result.broken == ["audio: no end after 0 s"]


def test_what_is_counted_comes_back(tmp_path: Path) -> None:
    found = mutated.run("codecs", 50, tmp_path / "at")
    assert found["inputs"] == 50
    assert (tmp_path / "at").read_text() == "49"


def test_memory_that_grows_is_seen_below_a_peak_that_was() -> None:
    assert mutated.grown([900.0, *(20 + look / 10 for look in range(300))]) == pytest.approx(10, abs=0.2)
    assert mutated.grown([20.0, *([30.0] * 100), 900.0, *([30.0] * 199)]) == 0


def test_memory_is_that_of_now() -> None:
    before = mutated.resident()
    held = bytes(64 * 2**20).replace(b"\0", b"x")
    assert mutated.resident() - before > 60
    del held
    assert mutated.resident() - before < 4


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
        timeout=60,
    )
