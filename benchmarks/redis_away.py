"""How soon a Redis that was killed is found again, under load: ``python -m benchmarks.redis_away [TURNS]``.

Ten callers of short texts, two classification replicas, quotas in a Redis that writes down each change. Each
turn kills it with -9, leaves it away for three seconds, starts it again on what it has written, and waits
until both replicas pay into it. Once with ``EARSHOT_QUOTA_WHEN_AWAY`` open, once closed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import psutil
import redis

from benchmarks.stack import free_port, running
from earshot import errors
from earshot.client import Client, RetryPolicy

CALLERS, AWAY = 10, 3.0  # seconds
QUOTAS = {"*": {"characters_per_month": 1e12}}
UP = "earshot_quota_store_up"


class Store:
    """A Redis that comes and goes, and keeps what it was told."""

    def __init__(self, folder: str) -> None:
        self.port = free_port()
        self._command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", folder]
        self._command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Gives back once it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not self._answers():
            time.sleep(0.005)

    def kill(self) -> None:
        """As a machine's loss of power would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def load(target: str) -> Iterator[Counter[str]]:
    """Callers that never rest, without retries of their own; how their calls ended."""
    ended, over = Counter[str](), threading.Event()

    def caller() -> None:
        with Client(target, retry=RetryPolicy(max_attempts=1)) as client:
            while not over.is_set():
                try:
                    client.classify("the train leaves at nine", ["travel", "cooking"])
                except errors.EarshotError as exc:
                    ended[exc.reason or type(exc).__name__] += 1
                else:
                    ended["OK"] += 1

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield ended
    finally:
        over.set()
        for thread in threads:
            thread.join()


def found_again(store: Store, ports: list[int]) -> float:
    """Seconds from its first answer until the last replica has found it."""
    store.kill()
    while any(figure(port) == 1 for port in ports):
        time.sleep(0.01)
    time.sleep(AWAY)
    store.start()
    began = time.monotonic()
    while any(figure(port) == 0 for port in ports):
        time.sleep(0.01)
    return time.monotonic() - began


def figure(port: int) -> float:
    """Whether the replica finds its store."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(UP))


def status(root: psutil.Process) -> list[dict[str, object]]:
    """The classification replicas, as ``earshot status`` has them."""
    command = [
        sys.executable,
        "-m",
        "earshot.cli",
        "status",
        "--json",
        "--state",
        root.environ()["EARSHOT_STATE"],
    ]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [one for one in said["replicas"] if one["service"] == "classification"]


def measure(when_away: str, turns: int) -> None:
    """Prints what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.start()
        told = {
            "EARSHOT_QUOTA_REDIS_URL": f"redis://127.0.0.1:{store.port}/0",
            "EARSHOT_QUOTAS": json.dumps(QUOTAS),
            "EARSHOT_QUOTA_WHEN_AWAY": when_away,
        }
        with (
            mock.patch.dict(os.environ, told),
            running("--stt", "1", "--classification", "2") as (root, port, _),
        ):
            replicas = status(root)
            ports = [int(str(one["metrics_port"])) for one in replicas]
            with load(f"127.0.0.1:{port}") as ended:
                took = [found_again(store, ports) for _ in range(turns)]
            same = [one["pid"] for one in status(root)] == [one["pid"] for one in replicas]
        store.kill()
    middle, most = statistics.median(took), max(took)
    print(f"{when_away}: found again after {middle:.2f} s, {most:.2f} at the most, {turns} turns")
    those = "are the same" if same else "HAVE DIED"
    print(f"{when_away}: calls {dict(ended)}; replicas {those}", flush=True)


if __name__ == "__main__":
    for setting in ("open", "closed"):
        measure(setting, int(sys.argv[1]) if len(sys.argv) > 1 else 10)
