"""The real stack, as ``earshot up`` starts it: real engines behind a real Envoy."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest
import pytest_asyncio

from earshot import errors
from earshot.client import AsyncClient
from earshot.local import samples
from earshot.local.ports import free_ports
from tests.envoy.harness import http, until
from tests.envoy.test_balancing import callers, more
from tests.envoy.test_routing import grpcurl

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SAMPLES = Path(samples.__file__).parent
LABELS = ["history of printing", "sport", "cooking"]
METHODS = {
    "earshot.v1.SpeechToText": {"Recognize", "StreamingRecognize", "ListModels"},
    "earshot.v1.ZeroShotClassifier": {"Classify", "ClassifySpeech", "StreamingClassifySpeech", "ListModels"},
}


@dataclass
class Whole:
    """``earshot up``, ready."""

    process: subprocess.Popen[str]
    port: int
    state: Path
    announced: list[str]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def replicas(self, service: str) -> list[dict[str, Any]]:
        data = json.loads(earshot("status", "--json", "--state", str(self.state)).stdout)
        return [replica for replica in data["replicas"] if replica["service"] == service]


def earshot(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    command = [sys.executable, "-m", "earshot.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def up(*arguments: str) -> Iterator[Whole]:
    """``earshot up`` on a free port; it may have ended at once."""
    (port,) = free_ports(1)
    with ExitStack() as cleanup:
        state = cleanup.enter_context(TemporaryDirectory(prefix="earshot-test-"))
        command = [
            sys.executable,
            "-m",
            "earshot.cli",
            "up",
            "--port",
            str(port),
            "--state",
            state,
            *arguments,
        ]
        started = cleanup.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        cleanup.callback(started.kill)
        assert started.stdout is not None
        announced = []
        for line in started.stdout:
            announced.append(line)
            if line.startswith("Ctrl-C"):
                break
        yield Whole(started, port, Path(state), announced)


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    """One stack for all; its last test ends it."""
    with up() as started:
        assert started.process.poll() is None, started.announced
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(whole: Whole) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(whole.target) as made:
        yield made


@pytest.fixture(scope="module")
def clip() -> bytes:
    """A second of speech: short, so that many calls take little time."""
    return recording(".wav")[44 : 44 + 32_000]


async def test_it_says_where_it_listens_and_with_which_engines(whole: Whole) -> None:
    said = "".join(whole.announced)
    assert f"ready on {whole.target} after" in said
    assert "engine pocketsphinx" in said
    assert "engine embedding" in said
    health = {
        replica["health"] for service in ("stt", "classification") for replica in whole.replicas(service)
    }
    assert health == {"healthy"}


def recording(suffix: str) -> bytes:
    """The sample with that ending."""
    (path,) = SAMPLES.glob(f"*{suffix}")
    return path.read_bytes()


def curl(whole: Whole, *arguments: str, data: object = None) -> str:
    """What grpcurl prints."""
    command = [grpcurl(), "-plaintext", "-max-time", "60", *(["-d", "@"] if data is not None else [])]
    put = json.dumps(data) if data is not None else None
    command += [whole.target, *arguments]
    done = subprocess.run(command, input=put, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_grpcurl_lists_and_describes(whole: Whole) -> None:
    for _ in range(4):  # whichever replica answers
        assert METHODS.keys() <= set(curl(whole, "list").split())
        for service, methods in METHODS.items():
            described = curl(whole, "describe", service)
            assert all(f"rpc {method} (" in described for method in methods)


async def test_grpcurl_calls(whole: Whole) -> None:
    audio = base64.b64encode(recording(".opus")).decode()
    heard = json.loads(curl(whole, "earshot.v1.SpeechToText/Recognize", data={"content": audio}))
    config = {"candidate_labels": LABELS}
    texts = {"inputs": [{"text": "a goal in the last minute"}], "config": config}
    scored = json.loads(curl(whole, "earshot.v1.ZeroShotClassifier/Classify", data=texts))
    speech = {"content": audio, "classification_config": config}
    both = json.loads(curl(whole, "earshot.v1.ZeroShotClassifier/ClassifySpeech", data=speech))
    assert "printed book" in heard["results"][0]["alternatives"][0]["transcript"]
    assert scored["results"][0]["labels"][0]["label"] == "sport"
    assert both["classification"]["labels"][0]["label"] == "history of printing"
    assert both["recognition_metadata"]["replica"].startswith("stt-")


async def test_json_calls(whole: Whole) -> None:
    body = json.dumps({"inputs": [{"text": "boil the eggs"}], "config": {"candidateLabels": LABELS}})
    status, _, answer = http(
        whole.port, "POST", "/v1/text:classify", body, {"content-type": "application/json"}
    )
    assert (status, json.loads(answer)["results"][0]["labels"][0]["label"]) == (200, "cooking")
    status, _, answer = http(whole.port, "POST", "/v1/text:classify", '{"inputs": []}', {})
    problem = json.loads(answer)
    fields = [
        violation["field"] for detail in problem["details"] for violation in detail.get("fieldViolations", [])
    ]
    assert (status, problem["code"], fields) == (400, 3, ["inputs"])


async def test_bad_audio_is_refused_and_the_next_call_works(client: AsyncClient, clip: bytes) -> None:
    with pytest.raises(errors.InvalidArgumentError) as failure:
        await client.recognize(b"<html>this is no audio</html>")
    assert failure.value.field == "content"
    assert (await client.recognize(clip, encoding="linear16", sample_rate=16_000)).replica


async def test_a_killed_replica_costs_no_call(whole: Whole, client: AsyncClient) -> None:
    async def classify() -> str:
        return (await client.classify("the match was lost", LABELS)).replica

    victim = whole.replicas("classification")[0]
    async with callers(classify) as answered:
        await more(answered, 60)
        os.kill(victim["pid"], signal.SIGKILL)
        await more(answered, 100)

    async def back() -> bool:
        (again,) = [each for each in whole.replicas("classification") if each["name"] == victim["name"]]
        return again["restarts"] == 1 and again["health"] == "healthy"

    await until(back)
    assert {await classify() for _ in range(30)} == {"classification-1", "classification-2"}


async def test_a_killed_worker_costs_no_call(whole: Whole, client: AsyncClient, clip: bytes) -> None:
    async def recognize() -> str:
        return (await client.recognize(clip, encoding="linear16", sample_rate=16_000)).replica

    replica = psutil.Process(whole.replicas("stt")[0]["pid"])
    workers = replica.children()
    assert len(workers) == 3  # it decodes, it listens, and it hears
    async with callers(recognize) as answered:
        await more(answered, 10)
        for worker in workers:
            worker.kill()
        await more(answered, 40)
    assert replica.is_running()


async def test_a_new_replica_gets_work_and_no_call_fails(
    whole: Whole, client: AsyncClient, clip: bytes
) -> None:
    async def recognize() -> str:
        return (await client.recognize(clip, encoding="linear16", sample_rate=16_000)).replica

    async with callers(recognize) as answered:
        await more(answered, 10)
        scaled = await asyncio.to_thread(earshot, "scale", "stt=3", "--state", str(whole.state))
        assert (scaled.returncode, scaled.stdout) == (0, "stt has 3\n")

        async def at_work() -> bool:
            return "stt-3" in answered

        await until(at_work)
    assert len(whole.replicas("stt")) == 3


async def test_the_client_command_works_on_it(whole: Whole) -> None:
    book = SAMPLES / "block-books.opus"
    done = await asyncio.to_thread(
        earshot, "transcribe", str(book), "--target", whole.target, "--output", "txt"
    )
    assert done.returncode == 0
    assert "printed book" in done.stdout


async def test_ctrl_c_leaves_nothing(whole: Whole) -> None:
    """The last of those that share the stack."""
    family = psutil.Process(whole.process.pid).children(recursive=True)
    assert len(family) >= 10
    whole.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(whole.process.wait, 60) == 0
    assert not [child for child in family if child.is_running()]


async def test_a_replica_that_dies_at_start_is_one_line() -> None:
    state = TemporaryDirectory(prefix="earshot-test-")
    with state:
        port = str(free_ports(1)[0])
        done = await asyncio.to_thread(
            earshot, "up", "--port", port, "--state", state.name, "--stt-engine", "nonsense"
        )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "stt-" in done.stderr
    assert "nonsense" in done.stderr


async def test_a_port_in_use_is_one_line(standing: Any, scratch: Path) -> None:
    port = str(standing.envoy.port)
    done = await asyncio.to_thread(earshot, "up", "--port", port, "--state", str(scratch))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"port {port} is in use" in done.stderr


async def test_the_demo_shows_the_whole_way() -> None:
    columns = os.environ | {"COLUMNS": "200"}
    command = [sys.executable, "-m", "earshot.cli", "demo"]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=120, env=columns
    )
    assert done.returncode == 0, done.stderr
    for said in ("ask-not.flac", "148,664", "history of printing", "patriotism", "pocketsphinx", "embedding"):
        assert said in done.stdout
    assert "stopped;" in done.stdout
