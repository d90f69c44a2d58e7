"""What the processes of a stack hold, as the kernel tells it.

Audio on its way between processes has no name (memfd_create(2)): it is not in /dev/shm, and is seen only in
the descriptors and the mappings of those who hold it. It takes root to look there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.drills.drill import CannotError
from tests.drills.stack import Stack

AUDIO: Final = "/memfd:earshot (deleted)"
_SHARED: Final = ("/memfd:", "/dev/shm/", "/SYSV", "/dev/zero")
_SHARED_FOLDER: Final = Path("/dev/shm")
_BLOCK: Final = 512  # bytes, of which stat(2) counts how many a file takes
_WORKER: Final = "earshot.runtime.worker"
_NUMBER: Final = re.compile(r"^(\w+):\s+(\d+)(?: kB)?$", re.MULTILINE)
_GONE: Final = (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, order=True)
class Who:
    """A process. Its number may be another's later, but not with that beginning."""

    kind: str  # "stt", "stt engines"
    pid: int
    began: float


@dataclass(frozen=True)
class Segment:
    """A piece of shared memory."""

    number: int  # its own, whoever holds it
    name: str


@dataclass(frozen=True)
class Look:
    """A process at a moment."""

    at: float  # seconds
    memory: float  # MiB resident, without what is shared
    descriptors: int
    threads: int
    segments: dict[Segment, int]  # held, by a descriptor or mapped; bytes of each


@dataclass(frozen=True)
class Moment:
    """A stack at a moment."""

    processes: dict[Who, Look]
    files: dict[Path, int]  # bytes of each that lies where the stack can leave something


def must_be_root() -> None:
    """Raises CannotError."""
    if os.geteuid() != 0:
        raise CannotError("it takes root to see what the processes hold")


class Watch:
    """Looks at all processes of a stack, those that come later too."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[psutil.Process, Who] = {}
        self._begun = time.monotonic()

    def look(self) -> Moment:
        """All that there is now. A process that has ended, and that nobody waits for, is there too."""
        at = time.monotonic() - self._begun
        found = {}
        for process in self._stack.processes():
            with suppress(*_GONE):
                found[self._who(process)] = _look(process.pid, at)
        return Moment(found, _files(self._stack))

    def _who(self, process: psutil.Process) -> Who:
        if process not in self._known:
            self._known[process] = Who(_kind(process), process.pid, process.create_time())
        return self._known[process]


def in_shared_memory(stack: Stack) -> int:
    """Bytes of audio there now, each piece once, whoever holds it."""
    held: dict[Segment, int] = {}
    for process in stack.processes():
        with suppress(*_GONE):
            held |= _segments(process.pid)
    return sum(size for segment, size in held.items() if segment.name == AUDIO)


def _files(stack: Stack) -> dict[Path, int]:
    """Its temporary and its state folder, and /dev/shm, in which nothing is its own by name."""
    found = {}
    for folder in (stack.temporary, stack.state, _SHARED_FOLDER):
        for each in folder.rglob("*"):
            with suppress(FileNotFoundError):
                found[each] = each.lstat().st_size
    return found


def _kind(process: psutil.Process) -> str:
    """ "stt" of a replica's front process, "stt engines" of its engines, "envoy" of Envoy."""
    words = process.cmdline()
    if _WORKER in words:
        front = process.parent()
        return f"{_kind(front) if front else 'orphan'} {words[-1].partition('-')[0]}"
    if "-m" in words:
        return words[words.index("-m") + 1].removeprefix("earshot.")
    return Path(words[0]).name if words else process.name()


def _look(pid: int, at: float) -> Look:
    status = _status(pid)
    memory = (status.get("RssAnon", 0) + status.get("RssFile", 0)) / 1024
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Look(at, memory, descriptors, status["Threads"], _segments(pid))


def _status(pid: int) -> dict[str, int]:
    """The numbers of proc(5)'s status; of memory in KiB, and none where the process has ended."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return {name: int(value) for name, value in _NUMBER.findall(status)}


def _segments(pid: int) -> dict[Segment, int]:
    return _mapped(pid) | dict(_opened(pid))


def _opened(pid: int) -> Iterator[tuple[Segment, int]]:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            name = str(each.readlink())
            if name.startswith(_SHARED):
                stat = each.stat()
                yield Segment(stat.st_ino, name), stat.st_blocks * _BLOCK


def _mapped(pid: int) -> dict[Segment, int]:
    """A descriptor may be closed when what it stands for is mapped."""
    held: dict[Segment, int] = {}
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        span, _, _, _, number, *rest = line.split(maxsplit=5)
        if rest and rest[0].startswith(_SHARED):
            start, end = (int(address, 16) for address in span.split("-"))
            segment = Segment(int(number), rest[0])
            held[segment] = held.get(segment, 0) + end - start
    return held
