"""A bad network: toxiproxy between the callers and Envoy, a way of its own for each."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from earshot.local.ports import free_ports


@dataclass(frozen=True)
class Network:
    """Ways to one port, and what may happen on them."""

    process: asyncio.subprocess.Process
    admin: int
    ports: list[int]

    async def set_open(self, is_open: bool) -> None:
        """Closed: all connections are cut, and no new ones made."""
        await asyncio.gather(
            *(self._post(f"/proxies/way-{port}", {"enabled": is_open}) for port in self.ports)
        )

    async def add(self, kind: str, **attributes: int) -> None:
        """A toxic in both directions on each way."""
        for port in self.ports:
            for direction in ("upstream", "downstream"):
                toxic = {"type": kind, "stream": direction, "name": f"{kind}-{direction}"}
                await self._post(f"/proxies/way-{port}/toxics", toxic | {"attributes": attributes})

    async def mend(self) -> None:
        """As it was."""
        self.thaw()
        await self._post("/reset", {})

    def freeze(self) -> None:
        """Nothing goes through, and nobody is told."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        os.kill(self.process.pid, signal.SIGCONT)

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        request = Request(f"http://127.0.0.1:{self.admin}{path}", json.dumps(body).encode(), method="POST")
        await asyncio.to_thread(lambda: urlopen(request, timeout=10).read())


@asynccontextmanager
async def network(port: int, count: int) -> AsyncIterator[Network]:
    """``count`` ways to ``port``."""
    program = shutil.which("toxiproxy-server")
    if program is None:
        raise FileNotFoundError("toxiproxy-server is not on the PATH")
    admin, *ports = free_ports(1 + count)
    process = await asyncio.create_subprocess_exec(
        *(program, "-host", "127.0.0.1", "-port", str(admin)), stdout=asyncio.subprocess.DEVNULL
    )
    made = Network(process, admin, ports)
    try:
        await _until_up(admin)
        for way in ports:
            listen, upstream = f"127.0.0.1:{way}", f"127.0.0.1:{port}"
            await made._post("/proxies", {"name": f"way-{way}", "listen": listen, "upstream": upstream})
        yield made
    finally:
        made.thaw()
        process.terminate()
        await process.wait()


async def _until_up(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
