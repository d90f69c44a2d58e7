"""Connections that break under a stream: what it goes on after, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from earshot import errors
from earshot.client import AsyncClient, Reconnecting, Resumed
from earshot.client.streaming import stream as streams
from tests.rpc.client.listening import (
    GONE,
    HASTY,
    PCM,
    Listen,
    check,
    cut,
)
from tests.rpc.client.streaming_service import RATE, Break, Service, spoken


def test_a_break_after_the_last_word_is_none(listen: Listen, service: Service) -> None:
    service.ends_badly = True

    check(listen(cut(PCM), sample_rate=RATE))

    assert len(service.connections) == 1


RESUMED = (
    Break(9, errors.UnavailableError("gone")),
    Break(9, code=(grpc.StatusCode.UNKNOWN, "Stream removed")),
    Break(9, code=(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2")),
    Break(9, code=(grpc.StatusCode.CANCELLED, "reset by the proxy")),
    Break(9, code=(grpc.StatusCode.DEADLINE_EXCEEDED, "the proxy's longest stream")),
    Break(9, errors.DeadlineExceededError("nothing came", reason="STREAM_IDLE")),
    Break(9, errors.ResourceExhaustedError("full", retry_after=0.01)),
    Break(9, go_away=True),
)


@pytest.mark.parametrize("fault", RESUMED, ids=lambda fault: fault.error or fault.code or "go away")
def test_what_a_stream_goes_on_after(listen: Listen, service: Service, fault: Break) -> None:
    service.then(fault)

    heard = listen(cut(PCM), sample_rate=RATE)

    check(heard)
    kinds = [type(event) for event in heard[0] if isinstance(event, Reconnecting | Resumed)]
    assert kinds == [Reconnecting, Resumed]


RAISED = (
    Break(9, errors.InvalidArgumentError("forged", reason="RESUME_TOKEN_FORGED")),
    Break(9, errors.InternalError("a fault")),
    Break(9, errors.UnauthenticatedError("who are you")),
    Break(9, errors.ResourceExhaustedError("too many streams")),
    Break(9, errors.FailedPreconditionError("not loaded")),
)


@pytest.mark.parametrize("fault", RAISED, ids=lambda fault: fault.error)
def test_what_ends_a_stream(listen: Listen, service: Service, fault: Break) -> None:
    service.then(fault)
    expected = fault.error
    assert expected

    with pytest.raises(type(expected), match=expected.message) as caught:
        listen(cut(PCM), sample_rate=RATE)

    assert caught.value.reason == expected.reason
    assert caught.value.request_id == service.connections[0].metadata["x-request-id"]
    assert len(service.connections) == 1


def test_an_end_without_a_summary_is_a_fault(listen: Listen, service: Service) -> None:
    service.then(Break(9, ends_well=True))

    with pytest.raises(errors.InternalError, match="without its summary"):
        listen(cut(PCM), sample_rate=RATE)


def test_a_final_that_comes_again_is_not_given_again(listen: Listen, service: Service) -> None:
    service.repeats = True
    service.then(Break(12, GONE), Break(8, GONE))

    check(listen(cut(PCM), sample_rate=RATE))


def test_trouble_without_progress_is_given_up(listen: Listen, service: Service) -> None:
    service.then(Break(9, GONE), *[Break(0, GONE)] * 10_000)

    with pytest.raises(errors.UnavailableError, match="gone") as caught:
        listen(cut(PCM), sample_rate=RATE, give_up_after=0.2)

    assert "committed up to 1 s" in caught.value.__notes__[0]


def test_progress_starts_the_count_anew(listen: Listen, service: Service) -> None:
    # Many more breaks than a call has attempts, and each second needs 5 chunks: one is committed between.
    service.then(*[Break(6, GONE)] * 8)

    check(listen(cut(spoken(8)), sample_rate=RATE), seconds=8)

    assert len(service.connections) == 9


def test_before_the_first_answer_attempts_count(listen: Listen, service: Service) -> None:
    service.then(*[Break(0, GONE)] * 10)

    with pytest.raises(errors.UnavailableError):
        listen(cut(PCM), sample_rate=RATE)

    assert len(service.connections) == HASTY.max_attempts


async def test_a_quiet_source_is_kept_alive(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.02)
    service.then(Break(20, GONE))
    go_on = asyncio.Event()

    async def quiet() -> AsyncIterator[bytes]:
        yield PCM[:50_000]
        await go_on.wait()
        yield PCM[50_000:]

    async with AsyncClient(service.target, retry=HASTY) as client:
        stream = client.stream(quiet(), sample_rate=RATE)
        events = []
        async for event in stream:
            events.append(event)
            if isinstance(event, Resumed):
                go_on.set()

    check((events, stream.result))
    first, second = service.connections
    assert first.numbers == list(range(1, 21))
    assert first.sizes.count(0) >= 15
    assert second.numbers == list(range(second.numbers[0], second.numbers[-1] + 1))


async def test_a_connection_without_a_word_counts_as_dead(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENT", 0.3)
    service.then(Break(9, silent=True))

    async with AsyncClient(service.target, retry=HASTY) as client:
        stream = client.stream(cut(PCM), sample_rate=RATE)
        events = [event async for event in stream]

    check((events, stream.result))
    (broken,) = (event for event in events if isinstance(event, Reconnecting))
    assert broken.cause.reason == "STREAM_SILENT"
