"""The stack that is drilled: ``earshot up``, and ways to hurt it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from earshot.local import control
from earshot.local.ports import free_ports
from earshot.local.state import StateFolder

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("stt", "classification")
_ENDING: Final = 90.0  # seconds for what is under way, and then for its end
_UP: Final = (sys.executable, "-m", "earshot.cli", "up")


@dataclass(frozen=True)
class Setup:
    """What is to run."""

    engine: str
    model: Path | None = None
    stt: int = 2  # replicas
    classification: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    up: tuple[str, ...] = _UP  # the command
    state: Path | None = None  # its folder; None: a new one
    temporary: Path | None = None  # where its processes put what is temporary; None: a new one


@dataclass(frozen=True)
class Stack:
    """One that answers."""

    process: asyncio.subprocess.Process
    port: int
    state: Path
    setup: Setup
    temporary: Path  # where its processes put what is temporary
    said: list[str] = field(default_factory=list)  # its lines

    @property
    def target(self) -> str:
        """For callers."""
        return f"127.0.0.1:{self.port}"

    def processes(self) -> list[psutil.Process]:
        """All of it, workers too."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    async def status(self) -> dict[str, Any]:
        """What ``earshot status`` says."""
        said: dict[str, Any] = await control.call(StateFolder(self.state), "status")
        return said

    async def replicas(self, service: str = "stt") -> list[dict[str, Any]]:
        """The rows of ``earshot status``."""
        rows = (await self.status())["replicas"]
        return [row for row in rows if row["service"] == service and row.get("pid")]

    async def serving(self, service: str = "stt") -> list[dict[str, Any]]:
        """Those that Envoy sends calls to."""
        rows = await self.replicas(service)
        return [row for row in rows if row["phase"] == "serving" and row["health"] == "healthy"]

    async def settled(self) -> None:
        """Until as many replicas serve as at the beginning, and each has its workers."""
        for service, count in (("stt", self.setup.stt), ("classification", self.setup.classification)):
            await self.scale(count, service)
            while len(await self.serving(service)) != count:
                await asyncio.sleep(0.3)

    async def signal_replica(self, number: int, what: signal.Signals, service: str = "stt") -> bool:
        """To one of the replicas that serve, counted around; whether there was one."""
        rows = await self.serving(service)
        return _one_of([row["pid"] for row in rows], number, what)

    async def kill_worker(self, number: int, kind: str, service: str = "stt") -> bool:
        """At once; the replica starts another. ``kind`` is "engine", "decoder" or "listener"; whether a
        replica that serves had one.
        """
        rows = await self.serving(service)
        found = [workers(row["pid"]).get(kind) for row in rows]
        return _one_of([pid for pid in found if pid], number, signal.SIGKILL)

    def kill_envoy(self) -> bool:
        """At once; the supervisor starts it again. Whether there was one."""
        pid = self.envoy()
        return pid is not None and _send(pid, signal.SIGKILL)

    def envoy(self) -> int | None:
        """Its process."""
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                if "envoy" in child.name():
                    return int(child.pid)
        return None

    async def scale(self, count: int, service: str = "stt") -> None:
        """``earshot scale SERVICE=COUNT``."""
        await control.call(StateFolder(self.state), "scale", **{service: count})


def workers(front: int) -> dict[str, int]:
    """Worker processes by the name of their pool, the last of its command line: "engine", "listener"."""
    found = {}
    with suppress(psutil.Error):
        for child in psutil.Process(front).children():
            with suppress(psutil.Error, IndexError):
                found[child.cmdline()[-1].partition("-")[0].removesuffix("s")] = child.pid
    return found


def _one_of(pids: Sequence[int], number: int, what: signal.Signals) -> bool:
    return bool(pids) and _send(pids[number % len(pids)], what)


def _send(pid: int, what: signal.Signals) -> bool:
    """Whether it was there still: who has ended, and waits for its parent, is struck by nothing."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            os.kill(pid, what)
            return True
    return False


@asynccontextmanager
async def running(setup: Setup) -> AsyncIterator[Stack]:
    """``setup`` behind Envoy, on a port and in a folder of its own. Raises RuntimeError where it ends."""
    (port,) = free_ports(1)
    with TemporaryDirectory(prefix="earshot-drill-") as made:
        state, temporary = setup.state or Path(made) / "state", setup.temporary or Path(made) / "tmp"
        temporary.mkdir()
        process = await asyncio.create_subprocess_exec(
            *setup.up,
            *_arguments(setup, port, state),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "TMPDIR": str(temporary), **setup.environment},
        )
        stack = Stack(process, port, state, setup, temporary)
        reading = asyncio.create_task(_read(stack))
        try:
            await _ready(stack, reading)
            yield stack
        finally:
            await _ended(stack)
            await reading


async def _ended(stack: Stack) -> None:
    """As it ends by itself, else at once and all of it. Raises RuntimeError where that was necessary."""
    all_of_it = stack.processes() if stack.process.returncode is None else []
    _send(stack.process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_ENDING):
            await stack.process.wait()
    except TimeoutError:
        for each in all_of_it:
            _send(each.pid, signal.SIGKILL)
        raise RuntimeError(f"the stack had not ended {_ENDING:g} s after SIGTERM, and was killed") from None


def _arguments(setup: Setup, port: int, state: Path) -> list[str]:
    arguments = ["--port", str(port), "--state", str(state), "--stt-engine", setup.engine]
    arguments += ["--stt", str(setup.stt), "--classification", str(setup.classification)]
    if setup.model:
        arguments += ["--stt-model", str(setup.model)]
    return [*arguments, *setup.arguments]


async def _read(stack: Stack) -> None:
    """Keeps what it says; a pipe that nobody reads would stop it."""
    assert stack.process.stdout
    async for line in stack.process.stdout:
        stack.said.append(line.decode().rstrip())


async def _ready(stack: Stack, reading: asyncio.Task[None]) -> None:
    while not any(line.startswith("Ctrl-C") for line in stack.said):
        if reading.done():
            raise RuntimeError(f"the stack has ended: {stack.said[-1:] or 'it said nothing'}")
        await asyncio.sleep(0.05)
