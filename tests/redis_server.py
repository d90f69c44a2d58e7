"""A real Redis of a test's own, which can be killed and brought back with what it held."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import redis

from earshot.local.ports import free_ports
from tests.lacking import lacking

PROGRAM = shutil.which("redis-server")


def need_redis() -> None:
    """CI may not be without it."""
    if PROGRAM:
        return
    lacking("no redis-server here: apt-get install redis-server")


class RedisServer:
    """Writes each change to ``folder`` before it answers, as a store of quotas should."""

    def __init__(self, folder: Path) -> None:
        need_redis()
        self.folder = folder
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Gives back once it answers."""
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "")
        durable = ("--appendonly", "yes", "--appendfsync", "always")
        command = [str(PROGRAM), *options, *durable]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            time.sleep(0.02)

    def kill(self) -> None:
        """As a machine's loss of power would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """It takes connections and says nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """To look into it."""
        return redis.Redis(port=self.port, decode_responses=True)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGKILL)
