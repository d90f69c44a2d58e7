"""Files that point elsewhere, and files that grow: an error each, and nothing reached, as the kernel sees."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from earshot.errors import InvalidArgumentError
from tests.conftest import REPOSITORY
from tests.unit.audio import hostile, watched
from tests.unit.audio.making import encoded, heard, tone

PORT = 9  # discard: nobody listens, and who tries is seen
POINTING = hostile.pointing(PORT)
BOMBS = hostile.bombs()
REACHING = re.compile(r"^\d+ +(open|openat|openat2|creat|connect|socket|sendto|bind|execve|fork|vfork)\(")


@pytest.mark.parametrize("name", POINTING)
def test_what_points_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        heard(POINTING[name])
    assert raised.value.field == "content"
    assert raised.value.reason in ("AUDIO_NOT_RECOGNIZED", "AUDIO_TRUNCATED", "AUDIO_STREAM_MISSING")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("zip", "AUDIO_NOT_RECOGNIZED"), ("gzip", "AUDIO_NOT_RECOGNIZED"), ("matroska", "AUDIO_TOO_COMPLEX")],
)
def test_bombs_are_refused(name: str, reason: str) -> None:
    assert len(BOMBS[name]) < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidArgumentError) as raised:
        heard(BOMBS[name])
    assert (raised.value.reason, raised.value.field) == (reason, "content")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def test_a_tag_that_lies_of_gigabytes_costs_nothing() -> None:
    """The sound behind it is good, and heard as without the tag."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (heard(BOMBS["id3"]) == heard(encoded("mp3", "libmp3lame", tone(440), 16_000))).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("mode", ["free", "confined"])
def test_nothing_is_opened_and_nobody_called(mode: str, tmp_path: Path) -> None:
    files = [*POINTING.values(), *BOMBS.values()]
    outcomes, calls = seen(mode, files, tmp_path)
    assert len(outcomes) == len(files)
    assert calls == []


def test_who_reaches_out_would_be_seen_and_is_stopped(tmp_path: Path) -> None:
    """With libav's doors wide open, in a process that is locked up."""
    files = [POINTING[f"{kind}, {to}"] for kind in ("hls", "concat") for to in ("path", "http")]
    outcomes, calls = seen("careless", files, tmp_path)
    assert "opened" not in outcomes
    assert any(call.startswith("openat") and "/etc/passwd" in call for call in calls)
    assert any(call.startswith("socket") for call in calls)
    assert all(re.search(r"= -1 (EPERM|EACCES) ", call) for call in calls)


def seen(mode: str, files: Iterable[bytes], folder: Path) -> tuple[list[str], list[str]]:
    """What came of each file, and the calls of the kernel by which a process reaches out."""
    log = folder / "calls"
    traced = "trace=%network,%file,%process"
    run = subprocess.run(
        [strace(), "-f", "-qq", "-o", log, "-e", traced, sys.executable, watched.__file__, mode],
        input=msgspec.msgpack.encode(list(files)),
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    lines = log.read_text(errors="replace").splitlines()
    (begin,) = [at for at, line in enumerate(lines) if watched.BEGIN in line]
    (end,) = [at for at, line in enumerate(lines) if watched.END in line]
    calls = [line.partition(" ")[2].strip() for line in lines[begin:end] if REACHING.match(line)]
    return run.stdout.decode().splitlines(), [call for call in calls if not _is_import(call)]


def _is_import(call: str) -> bool:
    """Some of Python's own modules are loaded when they are needed first."""
    return bool(
        re.match(rf'openat\(AT_FDCWD, "{re.escape(sysconfig.get_path("purelib"))}/[^"]*", O_RDONLY', call)
    )


def strace() -> str:
    """The program that sees every call of the kernel; CI may not be without it."""
    found = shutil.which("strace")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("strace is not installed")
    return str(found)
