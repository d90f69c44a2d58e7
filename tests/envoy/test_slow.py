"""Callers that send, or read, a byte now and then: they are waited for so long, and cost others nothing.

The times are those of the description, made short for the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import psutil
import pytest
import pytest_asyncio

from earshot.classification.labels import LabelLimits
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.local import envoy
from tests.envoy import harness, hostile
from tests.envoy.harness import Plane, until
from tests.envoy.hasty import shortened
from tests.envoy.hostile import UNARY, Attacker, announced, attacker, framed

pytestmark = pytest.mark.asyncio(loop_scope="module")

CROWD = 500
UNREAD = 24  # of those whose answers are long
TOO_SLOW = "the request did not come whole in time; send it faster, or less at once"
SHORT = {  # as it is described, and for the test
    "request_headers_timeout": ("10s", "2s"),
    "request_timeout": ("600s", "4s"),
    "stream_idle_timeout": ("60s", "6s"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty() -> AsyncIterator[Plane]:
    """Envoy that waits for seconds where the real one waits for longer."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="earshot-test-") as folder:
        patch.setattr(envoy, "to_yaml", shortened(SHORT))
        async with harness.full_plane(Path(folder)) as made:
            yield made


def _half_a_head(port: int) -> str:
    with attacker(port) as made:
        return made.ended(made.open(UNARY, half=True))


def _half_a_body(port: int) -> str:
    with attacker(port) as made:
        stream = made.open(UNARY)
        made.give(stream, announced(256) + bytes(100))
        return made.ended(stream)


def _no_answer_wanted(port: int) -> str:
    with attacker(port, window=0) as made:
        stream = made.open("/earshot.v1.SpeechToText/ListModels")
        made.http2.send_data(stream, bytes(5), end_stream=True)
        made.flush()
        made.until(hostile.StreamReset, stream)
        return "reset"


@pytest.mark.parametrize(
    ("attack", "counter", "expected"),
    [
        (_half_a_head, "http.edge.downstream_rq_header_timeout", ("status 408",)),
        (_half_a_body, "http.edge.downstream_rq_timeout", (f"status 200 grpc 4 {TOO_SLOW}",)),
        (_no_answer_wanted, "http2.tx_flush_timeout", ("reset",)),
    ],
    ids=["half a head", "half a body", "no answer wanted"],
)
async def test_who_stops_is_waited_for_so_long(
    hasty: Plane, attack: Callable[[int], str], counter: str, expected: tuple[str, ...]
) -> None:
    before = await hasty.envoy.figure(counter)
    ended = await asyncio.to_thread(attack, hasty.envoy.port)
    assert ended.startswith(expected), ended
    assert await hasty.envoy.figure(counter) > before


async def test_a_crowd_of_slow_senders_costs_little_and_goes(hasty: Plane) -> None:
    """A byte now and then keeps none of them: each is waited for until its time is up, and no longer."""
    assert hasty.envoy.child
    process = psutil.Process(hasty.envoy.child.pid)
    before, ended = process.memory_info().rss, await hasty.envoy.figure("http.edge.downstream_rq_timeout")
    with ExitStack() as crowd:
        slow = [crowd.enter_context(attacker(hasty.envoy.port)) for _ in range(CROWD)]
        for one in slow:
            one.give(one.open(UNARY), announced(2**20))
        assert await hasty.recognize() in ("stt-1", "stt-2")  # while they are there
        most = process.memory_info().rss
        assert most - before < 256 * 2**20
        async with asyncio.timeout(harness.PATIENCE):
            while await hasty.envoy.figure("http.edge.downstream_rq_timeout") < ended + CROWD:
                await asyncio.to_thread(_send_a_byte, slow)
                await asyncio.sleep(0.1)
        await until(lambda: _gone(hasty))
        assert await hasty.recognize() in ("stt-1", "stt-2")


def _send_a_byte(slow: list[Attacker]) -> None:
    """From each that Envoy has not hung up on."""
    for one in slow:
        if not one.closed:
            one.give(1, b"\0")


@pytest.mark.timeout(300)
async def test_a_crowd_that_never_reads_costs_little_and_goes(hasty: Plane) -> None:
    """Envoy holds an answer for each, until the time for it is up."""
    assert hasty.envoy.child
    process = psutil.Process(hasty.envoy.child.pid)
    before, dropped = process.memory_info().rss, await hasty.envoy.figure("http2.tx_flush_timeout")
    asked = framed(_long_answer())
    with ExitStack() as crowd:
        for _ in range(CROWD):
            one = crowd.enter_context(attacker(hasty.envoy.port, window=0))
            one.http2.send_data(one.open("/earshot.v1.ZeroShotClassifier/Classify"), asked, end_stream=True)
            one.flush()
        assert await hasty.classify() == "classification-1"  # while they are there
        most = process.memory_info().rss
        async with asyncio.timeout(240):
            while await hasty.envoy.figure("http2.tx_flush_timeout") < dropped + CROWD:
                most = max(most, process.memory_info().rss)
                await asyncio.sleep(0.1)
        assert most - before < 256 * 2**20
        assert await _gone(hasty)
        assert await hasty.classify() == "classification-1"


async def test_who_does_not_read_the_longest_answer_is_cut_off(hasty: Plane) -> None:
    """Envoy holds all of it, so that nothing stays with the replica."""
    dropped = await hasty.envoy.figure("http2.tx_flush_timeout")
    async with _unread(hasty, _inputs_of(LabelLimits().max_answer_bytes)):
        await until(lambda: _left_the_replica(hasty))
        assert not await _gone(hasty)
        await until(lambda: _gone(hasty))
    assert await hasty.envoy.figure("http2.tx_flush_timeout") == dropped + UNREAD


async def test_who_does_not_read_stops_nobody_behind_envoy(hasty: Plane) -> None:
    """Where answers may be longer than Envoy holds: what is left stays with the replica, others pass by."""
    async with _unread(hasty, _inputs_of(4 * 2**20)):
        for _ in range(10):
            assert await hasty.classify() == "classification-1"


@asynccontextmanager
async def _unread(plane: Plane, inputs: int) -> AsyncIterator[None]:
    """Callers that have each been answered so much, and read nothing of it."""
    asked = framed(_long_answer(inputs))
    with ExitStack() as crowd:
        for _ in range(UNREAD):
            one = crowd.enter_context(attacker(plane.envoy.port, window=0))
            await asyncio.to_thread(_begun, one, asked)
        yield


def _inputs_of(size: int) -> int:
    """How many inputs make an answer that long."""
    labels = _long_answer(inputs=1).config.candidate_labels
    scores = [classification_pb2.LabelScore(label=label, score=0.5) for label in labels]
    result = classification_pb2.ClassificationResult(labels=scores)
    return size // classification_pb2.ClassifyResponse(results=[result]).ByteSize()


def _begun(one: Attacker, asked: bytes) -> None:
    """Until the head of the answer has come, which no window holds up."""
    stream = one.open("/earshot.v1.ZeroShotClassifier/Classify")
    one.give(stream, asked, last=True)
    one.until(hostile.ResponseReceived, stream)


def _long_answer(inputs: int = 16) -> classification_pb2.ClassifyRequest:
    """A request of a few kilobytes whose answer is so many times as long."""
    texts = [classification_pb2.TextInput() for _ in range(inputs)]
    labels = [f"{number}{'x' * 100}" for number in range(40)]
    config = classification_pb2.ClassificationConfig(candidate_labels=labels)
    return classification_pb2.ClassifyRequest(inputs=texts, config=config)


async def _left_the_replica(plane: Plane) -> bool:
    return await plane.envoy.figure("cluster.zero_shot_classifier.upstream_rq_active") == 0


async def _gone(plane: Plane) -> bool:
    return await plane.envoy.figure("http.edge.downstream_rq_active") == 0


async def test_live_streams_are_not_cut_by_the_time_for_requests(hasty: Plane) -> None:
    """They are answered early, and then may take as long as they like."""
    call = hasty.speech.StreamingRecognize(timeout=harness.PATIENCE)
    for number in range(10):
        await call.write(_chunk(number))
        await call.read()
        await asyncio.sleep(0.5)  # five seconds in all, longer than a request may take
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK


def _chunk(number: int) -> object:
    """One chunk of a stream."""
    return speech_pb2.StreamingRecognizeRequest(audio={"sequence_number": number, "content": b"\0\0"})
