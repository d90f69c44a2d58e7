"""What callers say and write is nowhere afterwards: the whole stack, with errors and crashes, then searched.

``EARSHOT_CANARY_CALLS`` says how many calls; by default as many as fit a test's time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from redis import Redis

from earshot import errors
from earshot.gen.v1 import classification_pb2, classification_pb2_grpc, speech_pb2, speech_pb2_grpc
from earshot.local.http import fetch
from tests.envoy.harness import http
from tests.envoy.test_whole import Whole, up
from tests.redis_server import need_redis
from tests.rpc import clips
from tests.rpc.test_traces import Collector, collector

__all__ = ["collector"]  # a fixture

pytestmark = pytest.mark.timeout(240)

CANARY = "canarywrote"
CALLS = int(os.environ.get("EARSHOT_CANARY_CALLS", "150"))
AT_ONCE = 8
SPELLED = base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1]
SHARED_MEMORY = Path("/dev/shm")

# Sound that spells the word.
SOUND = clips.wav_of((CANARY * 600).encode()[:6_400])
# Never reached: each call is written down in a Redis, which replicas share.
QUOTAS = {"*": {"audio_seconds_per_month": 1e9, "characters_per_month": 1e9}}
LABELS = {"candidate_labels": [f"{CANARY} one", f"{CANARY} two"]}


@dataclass
class Searched:
    """The stack, and all that it wrote."""

    stack: Whole
    folder: Path  # its current one, its home and its temporary ones
    collector: Collector
    kept: list[str] = field(default_factory=list)  # logs of processes that were killed, answers
    codes: Counter[str] = field(default_factory=Counter)


@pytest_asyncio.fixture
async def searched(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Searched]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    for name, value in {
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_STATE_HOME": str(tmp_path / "home"),
        "EARSHOT_LOG_LEVEL": "debug",
        "EARSHOT_OTLP_ENDPOINT": collector.url,
        "EARSHOT_TRACE_SHARE": "1",
        "EARSHOT_QUOTAS": json.dumps(QUOTAS),
    }.items():
        monkeypatch.setenv(name, value)
    need_redis()
    with up("--stt", "2", "--classification", "1", "--redis") as stack:
        assert stack.process.poll() is None, stack.announced
        yield Searched(stack, tmp_path, collector)


def requests() -> dict[str, Any]:
    """What is sent, by its name; the JSON ones as (path, body)."""
    recognize = speech_pb2.RecognizeRequest
    classify = classification_pb2.ClassifyRequest
    text = [{"text": f"the {CANARY} of late"}]
    audio = base64.b64encode(SOUND).decode()
    return {
        "heard": recognize(content=SOUND),
        "hints": recognize(content=SOUND, config={"features": {"phrase_hints": [CANARY]}}),
        "no audio": recognize(content=f"{CANARY} ".encode() * 50),
        "broken audio": recognize(content=b"fLaC" + CANARY.encode() * 50),
        "unknown model": recognize(content=SOUND, config={"model": "nothing"}),
        "scored": classify(inputs=text, config=LABELS),
        "labels twice": classify(inputs=text, config={"candidate_labels": [f"{CANARY} one"] * 2}),
        "label too long": classify(inputs=text, config={"candidate_labels": [CANARY * 200, "b"]}),
        "json": (
            "/v1/text:classify",
            json.dumps({"inputs": text, "config": {"candidateLabels": ["a", "b"]}}),
        ),
        "json audio": ("/v1/speech:recognize", json.dumps({"content": audio})),
        "json broken": ("/v1/text:classify", f'{{"inputs": [{{"text": "{CANARY}'),
        "json wrong": ("/v1/text:classify", json.dumps({"inputs": CANARY})),
        "json unknown": ("/v1/text:classify", json.dumps({CANARY: CANARY, "inputs": text})),
    }


async def call(searched: Searched, channel: grpc.aio.Channel, name: str, request: Any) -> None:
    """One call, its end counted; what an error says is kept, to be searched as well."""
    if isinstance(request, tuple):
        path, body = request
        status, headers, answer = await asyncio.to_thread(
            http, searched.stack.port, "POST", path, body, {"content-type": "application/json"}
        )
        searched.codes[f"{name}: {status}"] += 1
        if status not in (200, 400):  # Envoy shows who wrote JSON that it cannot read the value it stopped at
            searched.kept.append(f"{headers} {answer.decode()}")
        return
    speech = speech_pb2_grpc.SpeechToTextStub(channel)  # type: ignore[no-untyped-call]
    texts = classification_pb2_grpc.ZeroShotClassifierStub(channel)  # type: ignore[no-untyped-call]
    method = speech.Recognize if isinstance(request, speech_pb2.RecognizeRequest) else texts.Classify
    try:
        await method(request, timeout=random.choice([0.05, 30, 30, 30]))
        searched.codes[f"{name}: OK"] += 1
    except grpc.aio.AioRpcError as exc:
        searched.codes[f"{name}: {exc.code().name}"] += 1
        searched.kept.append(f"{exc.details()} {exc.trailing_metadata()!r}")


async def load(searched: Searched) -> None:
    """All kinds of calls, many at once."""
    kinds = list(requests().items())
    turns = iter(kinds[number % len(kinds)] for number in range(CALLS))
    async with grpc.aio.insecure_channel(searched.stack.target) as channel:

        async def caller() -> None:
            for name, request in turns:
                await call(searched, channel, name, request)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def crashes(searched: Searched) -> None:
    """Kills a worker, then a front process, while calls are under way; what they logged is kept."""
    for killed in ("worker", "front"):
        await asyncio.sleep(1.0)  # calls go on meanwhile
        replica = random.choice(searched.stack.replicas("stt"))
        searched.kept.append(log(searched, replica["name"]))
        if replica["pid"]:
            _kill(replica["pid"], killed)


def _kill(pid: int, which: str) -> None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        worker = int(children.read_text().split()[0])
        os.kill(worker if which == "worker" else pid, signal.SIGKILL)
    except (OSError, IndexError):  # it has just gone
        return


def log(searched: Searched, replica: str) -> str:
    path = searched.stack.state / "logs" / f"{replica}.log"
    return path.read_text(errors="replace") if path.exists() else ""


async def figures(searched: Searched) -> str:
    """Of every replica that has them: one may have been killed a moment ago."""
    replicas = [*searched.stack.replicas("stt"), *searched.stack.replicas("classification")]
    said = []
    for replica in replicas:
        with suppress(errors.UnavailableError):
            said.append(await fetch(replica["metrics_port"], "/metrics"))
    assert said
    return "".join(said)


def store(searched: Searched) -> str:
    """All that Redis holds; and it writes it all down once more, as plain as it can."""
    with Redis(unix_socket_path=str(searched.stack.state / "redis.sock"), decode_responses=True) as redis:
        redis.config_set("rdbcompression", "no")
        redis.save()
        return "\n".join(f"{key} {_value(redis, key)}" for key in redis.scan_iter())


def _value(redis: Redis, key: str) -> Any:
    read = {"string": redis.get, "hash": redis.hgetall, "zset": lambda name: redis.zrange(name, 0, -1)}
    return read[str(redis.type(key))](key)


def shared_memory() -> set[str]:
    """Names in ``/dev/shm``."""
    return {path.name for path in SHARED_MEMORY.iterdir()}


def files(*folders: Path) -> dict[str, str]:
    """Every file below the folders, with what it holds."""
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes().decode("latin-1") for path in found}


def left_in_shared_memory(before: set[str]) -> dict[str, str]:
    """What has come to ``/dev/shm`` since, with what it holds."""
    found = [SHARED_MEMORY / name for name in shared_memory() - before]
    return {str(path): path.read_bytes().decode("latin-1") for path in found if path.is_file()}


@pytest.mark.asyncio
async def test_nothing_of_it_is_left_anywhere(searched: Searched, capfd: pytest.CaptureFixture[str]) -> None:
    before = shared_memory()
    await asyncio.gather(load(searched), crashes(searched))
    places = {"metrics": await figures(searched), "answers and logs of the dead": "\n".join(searched.kept)}
    places["Redis"] = await asyncio.to_thread(store, searched)
    searched.stack.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(searched.stack.process.wait)
    places["traces"] = "".join(str(export) for export in searched.collector.exports)
    places["output"] = "".join(capfd.readouterr()) + "".join(searched.stack.announced)
    places |= files(searched.folder, searched.stack.state) | left_in_shared_memory(before)

    assert sum(searched.codes.values()) == CALLS
    assert {name.partition(":")[0] for name in searched.codes} == requests().keys()
    assert '"event":"call"' in "".join(places.values())  # where we look is where it would be
    assert len(searched.collector.spans) > 1
    assert "earshot:bill:anonymous:" in places["Redis"]
    assert {".rdb", ".aof"} <= {Path(path).suffix for path in places}
    assert not [path for path in places if Path(path).name.startswith("core")]
    for place, text in places.items():
        assert CANARY not in text.lower(), place
        assert SPELLED not in text, place
