"""A real stack that is broken on purpose: a real Prometheus fires the right alert, and no other.

The rules are those of deploy/prometheus/rules.yaml in a hurry (tests/monitoring/hurried.py): their ranges and
waits are a twentieth, their expressions the same. With their own times promtool tries them (test_rules.py).
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import psutil
import pytest
import yaml

from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.local.ports import free_ports
from earshot.runtime.pulse import Pulse
from tests.envoy.test_whole import Whole, earshot, up
from tests.monitoring.asking import Prometheus
from tests.monitoring.hurried import hurried, timeless
from tests.monitoring.test_rules import RULES
from tests.monitoring.traffic import RATE, pcm
from tests.rpc.clips import wav_of

pytestmark = pytest.mark.timeout(600)

PATIENCE = 120.0  # seconds for what must happen at all
QUEUE = 16  # calls that may wait for the one worker of a replica
DEPTH = 'earshot_queue_depth{pool="engines"}'
STILL = 1.5  # seconds: less than makes a worker look dead
DEATHS = 5  # of a worker: more than the alert lets pass
ENVIRONMENT = {"EARSHOT_QUEUE": str(QUEUE)}


def test_only_times_are_changed() -> None:
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    assert timeless(hurried(rules)) == timeless(rules)
    assert hurried(rules) != rules


@dataclass
class Case:
    """The stack, and who watches it."""

    whole: Whole
    prometheus: Prometheus

    def firing(self) -> set[str]:
        """Alerts that fire now."""
        return {rule["name"] for rule in self.prometheus.rules() if rule.get("state") == "firing"}

    def calm(self) -> bool:
        """Whether no alert fires, or is about to."""
        return all(rule.get("state", "inactive") == "inactive" for rule in self.prometheus.rules())

    def replica(self, name: str) -> dict[str, Any]:
        """It as ``earshot status`` has it."""
        (found,) = [one for one in self.whole.replicas("stt") if one["name"] == name]
        return found

    @contextmanager
    def fires(self, alert: str) -> Iterator[None]:
        """Inside, something is broken; at its end this alert fires, and no other has since it began."""
        until(self.calm)
        began = time.monotonic()
        yield
        until(lambda: self.firing() == {alert})
        since = math.ceil(time.monotonic() - began)
        seen = self.prometheus.by("alertname", f'last_over_time(ALERTS{{alertstate="firing"}}[{since}s])')
        assert seen.keys() == {alert}


def until(condition: Callable[[], bool], pause: float = 0.1) -> None:
    """Waits for what must come true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it has not come true"
        time.sleep(pause)


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    if shutil.which("prometheus") is None:
        pytest.fail("prometheus is not on the PATH: `shared/cluster/cluster tools` puts it there")
    (port,) = free_ports(1)
    options = ("--prometheus", "--prometheus-port", str(port), "--classification", "1")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with up(*options) as whole:
            assert whole.process.poll() is None, whole.announced
            with watching(whole) as prometheus:
                yield Case(whole, prometheus)


@contextmanager
def watching(whole: Whole) -> Iterator[Prometheus]:
    """A second Prometheus, which reads what the stack's own does, with rules in a hurry."""
    folder = whole.state / "prometheus"
    config = json.loads((folder / "prometheus.json").read_text("utf-8"))
    (folder / "hurried.yaml").write_text(yaml.safe_dump(hurried(yaml.safe_load(RULES.read_text("utf-8")))))
    config |= {"rule_files": [str(folder / "hurried.yaml")]}
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (folder / "hurried.json").write_text(json.dumps(config))
    (port,) = free_ports(1)
    made = Prometheus(f"http://127.0.0.1:{port}")
    command = ["prometheus", f"--config.file={folder / 'hurried.json'}", "--log.level=error"]
    command += [f"--storage.tsdb.path={folder / 'hurried'}", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:
        try:
            until(lambda: _reads(made))
            yield made
        finally:
            process.terminate()


def _reads(prometheus: Prometheus) -> bool:
    """Whether it has read everybody: Envoy and three replicas."""
    try:
        return prometheus.values("up") == [1.0] * 4
    except (urllib.error.URLError, ConnectionError):
        return False


def engine(front: int) -> psutil.Process:
    """The process with the engine of a replica: the one that has loaded its library."""
    found: list[psutil.Process] = []

    def has_loaded() -> bool:
        found[:] = [one for one in psutil.Process(front).children() if _has_loaded(one, "pocketsphinx")]
        return len(found) == 1

    until(has_loaded)
    return found[0]


def _has_loaded(process: psutil.Process, library: str) -> bool:
    try:
        return any(library in part.path for part in process.memory_maps())
    except psutil.Error:
        return False


def successor(front: int, known: set[int]) -> psutil.Process:
    """The worker that takes a dead one's place, as early as there is one."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [one for one in psutil.Process(front).children() if one.pid not in known and _runs(one)]
        return bool(found)

    end = time.monotonic() + PATIENCE
    while not is_there():
        assert time.monotonic() < end, "no worker was started"
        time.sleep(0.002)
    return found[0]


def _runs(process: psutil.Process) -> bool:
    """Whether it is a worker already, and no copy of its parent that is about to become one."""
    try:
        return "earshot.runtime.worker" in process.cmdline()
    except psutil.Error:
        return False


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """It does nothing for so long, and is not gone."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@contextmanager
def held_back(process: psutil.Process) -> Iterator[None]:
    """It gets next to nothing done, and yet moves often enough not to be taken for dead and replaced."""
    over = threading.Event()

    def hold() -> None:
        while not over.is_set():
            with stopped(process):
                over.wait(STILL)
            _moves(process)

    with ThreadPoolExecutor(1) as beside:
        holding = beside.submit(hold)
        try:
            yield
        finally:
            over.set()
            holding.result()


def _moves(process: psutil.Process) -> None:
    """Waits until it has had a processor."""
    pulse = Pulse(process.pid)
    pulse.look(at_work=True)
    until(lambda: pulse.look(at_work=True) == 0, pause=0.001)


def test_without_envoy(case: Case) -> None:
    """Whoever starts it again is stopped first; then it does, and all is well."""
    status = json.loads(earshot("status", "--json", "--state", str(case.whole.state)).stdout)["stack"]
    with stopped(psutil.Process(case.whole.process.pid)), case.fires("EarshotNoEdge"):
        os.kill(status["envoy_pid"], signal.SIGKILL)
    until(case.calm)


async def test_a_queue_that_fills_and_one_that_is_full(case: Case) -> None:
    """The engine of one replica gets nothing done. First the calls to it wait; then it takes no more."""
    replica = case.replica("stt-1")
    waiting: list[asyncio.Future[Any]] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{replica['port']}") as direct:
        with held_back(engine(replica["pid"])):
            clip = speech_pb2.RecognizeRequest(content=wav_of(pcm()))
            stub = speech_pb2_grpc.SpeechToTextStub(direct)

            def ask() -> None:
                """By a caller of its own: no single one gets all places."""
                name = (("x-earshot-client", f"caller {len(waiting)}"),)
                call = stub.Recognize(clip, timeout=PATIENCE * 3, metadata=name)
                waiting.append(asyncio.ensure_future(call))

            with case.fires("EarshotQueueGrows"):
                while not case.firing() and len(waiting) <= QUEUE:
                    ask()
                    await asyncio.sleep(0.5)
            while len(waiting) <= QUEUE:
                ask()
            await asyncio.to_thread(until, lambda: case.prometheus.total(DEPTH) == QUEUE)
            with case.fires("EarshotTurnsCallsAway"):
                await _call_on(case)
            assert not [one for one in waiting if one.done()]
            for one in waiting:
                one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _call_on(case: Case) -> None:
    """Callers go on, of whom none is failed: what the one refuses the other answers."""
    silence = speech_pb2.RecognizeRequest(content=wav_of(bytes(4 * RATE)))  # no engine has to hear it
    async with grpc.aio.insecure_channel(case.whole.target) as channel:
        call = speech_pb2_grpc.SpeechToTextStub(channel).Recognize
        end = time.monotonic() + PATIENCE
        while not case.firing() and time.monotonic() < end:
            await call(silence, timeout=PATIENCE)


def test_a_worker_that_cannot_be_started_again(case: Case) -> None:
    front = case.replica("stt-2")["pid"]
    with ExitStack() as mended, case.fires("EarshotWorkersMissing"):
        known = {one.pid for one in psutil.Process(front).children()}
        engine(front).kill()
        mended.enter_context(held_back(successor(front, known)))
    until(lambda: case.prometheus.total("earshot_workers_ready") == case.prometheus.total("earshot_workers"))


def test_a_worker_that_dies_again_and_again(case: Case) -> None:
    front = case.replica("stt-2")["pid"]
    with case.fires("EarshotWorkersRestart"):
        dying = engine(front)
        for _ in range(DEATHS):
            known = {one.pid for one in psutil.Process(front).children()}
            dying.kill()
            dying = successor(front, known)
