"""Child processes that leave nothing behind: in a group of their own, dead when we are dead."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from earshot import errors

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable, Mapping, Sequence

LAUNCHER: Final = Path(__file__).with_name("launch.py")
TAIL_BYTES: Final = 4096  # of a log, to find its last line in
_PAUSE_SECONDS: Final = 0.05  # between two looks whether a child answers


class Child:
    """One running child; what it writes goes to ``log``."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process = process
        self._swept = False  # its group is gone, and its number may be another's by now
        self.log = log

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Starts ``command``, its first word an absolute path; ``log`` is written anew.

        A process group of its own keeps the terminal's Ctrl-C from it: we say when it stops. The session is
        ours: Linux shares processors out between sessions first (autogroup, sched(7)), and its engines would
        give way to no process of another that answers callers.
        """
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(LAUNCHER), str(os.getpid()), *command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                process_group=0,
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ready(
        self, title: str, answers: Callable[[], Awaitable[bool]], seconds: float, *, patience: float
    ) -> None:
        """Waits until it ``answers``; stops it, with ``patience``, where it does not within ``seconds``.

        Raises:
            FailedPreconditionError: it ended instead, or did not get ready in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.alive:
                    if await answers():
                        return
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError as exc:
            await self.stop(patience)
            raise errors.FailedPreconditionError(
                f"{title} was not ready within {seconds:.0f} s: {self.obituary()}"
            ) from exc
        raise errors.FailedPreconditionError(f"{title} did not start: {self.obituary()}")

    async def exited(self) -> None:
        """Returns once the child is gone, and all that it started with it."""
        await self._process.wait()
        self.kill()

    async def stop(self, patience: float) -> None:
        """SIGTERM; after ``patience`` seconds SIGKILL. Nothing of its group is left."""
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), patience)
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """SIGKILL to its whole group, some of which may outlive the child itself."""
        if self._swept:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._swept = not self.alive

    def obituary(self) -> str:
        """How it ended, and the last line that it wrote."""
        code = self._process.returncode
        if code is None:
            how = "still running"
        elif code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        else:
            how = f"exit code {code}"
        return f"{how}; {last_line(self.log)}"


def last_line(log: Path) -> str:
    """The last line of a log that is not blank, and where the rest is."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return f"last line of {log}: {lines[-1].strip()}" if lines else f"nothing in {log}"
