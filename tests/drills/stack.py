"""The stack that is drilled: ``earshot up``, and ways to hurt it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from earshot.local.ports import free_ports


@dataclass(frozen=True)
class Stack:
    """One that answers."""

    process: asyncio.subprocess.Process
    port: int
    state: str

    async def replicas(self, service: str = "stt") -> list[dict[str, Any]]:
        """The rows of ``earshot status``."""
        rows = json.loads(await command("status", "--json", "--state", self.state))["replicas"]
        return [row for row in rows if row["service"] == service and row.get("pid")]

    async def signal_replica(self, number: int, what: signal.Signals) -> None:
        """To one of the replicas that serve, counted around."""
        rows = [row for row in await self.replicas() if row["phase"] == "serving"]
        if rows:
            _send(rows[number % len(rows)]["pid"], what)

    async def kill_worker(self, number: int, kind: str) -> None:
        """Kills an "engine" or a "listener" process of a replica."""
        rows = await self.replicas()
        if rows:
            _send(_workers(rows[number % len(rows)]["pid"])[kind], signal.SIGKILL)

    def kill_envoy(self) -> None:
        """At once; the supervisor starts it again."""
        for child in psutil.Process(self.process.pid).children():
            if "envoy" in child.name():
                _send(child.pid, signal.SIGKILL)

    async def scale(self, count: int) -> None:
        """``earshot scale stt=COUNT``."""
        await command("scale", f"stt={count}", "--state", self.state)


def _workers(front: int) -> dict[str, int]:
    """Worker processes by the name of their pool, the last of its command line: "engine", "listener"."""
    children = psutil.Process(front).children()
    return {child.cmdline()[-1].partition("-")[0].removesuffix("s"): child.pid for child in children}


def _send(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


async def command(*arguments: str) -> str:
    """What ``earshot ARGUMENTS`` prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "earshot.cli", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode()


@asynccontextmanager
async def running(model: Path, replicas: int) -> AsyncIterator[Stack]:
    """Two replicas or more of speech to text behind Envoy, with the digits checkpoint."""
    (port,) = free_ports(1)
    with TemporaryDirectory(prefix="earshot-drill-") as state:
        arguments = ["--port", str(port), "--state", state, "--stt", str(replicas), "--classification", "1"]
        arguments += ["--stt-engine", "faster-whisper", "--stt-model", str(model)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "earshot.cli", "up", *arguments), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                if line.startswith(b"Ctrl-C"):
                    break
            draining = asyncio.create_task(process.stdout.read())  # what it says later is for nobody
            yield Stack(process, port, state)
            draining.cancel()
        finally:
            _send(process.pid, signal.SIGTERM)
            await process.wait()
