"""Live streams that go wrong: what the caller is told, that others go on, and that a token goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.client.duplex import _settled
from earshot.gen.v1 import audio_pb2, speech_pb2
from earshot.rpc.status import from_rpc_error
from earshot.stt.streaming import session
from tests.rpc.conftest import Running, Start
from tests.rpc.live import (
    Config,
    Heard,
    Request,
    calling,
    config,
    converse,
    cut,
    flac,
    requests,
    silence,
    talk,
)
from tests.rpc.seen import engine, listener, until, workers

TALK = talk()
CHUNKS = cut(TALK.tobytes())
AUTO = audio_pb2.RecognitionConfig()
TOKEN = "streaming_config.resume_token"


async def _ends(service: Running, messages: Sequence[Request]) -> tuple[Heard, errors.EarshotError]:
    """What is said on a stream that fails, and how it does."""
    async with calling(service, messages, end=False) as call:
        return await _failing(call)


async def _failing(call: Any) -> tuple[Heard, errors.EarshotError]:
    """What is still said on a call that fails, and how it does."""
    heard = Heard()
    try:
        while True:
            heard.messages.append(await _next(call))
    except grpc.aio.AioRpcError as error:
        return heard, from_rpc_error(await _settled(call, error))


async def _next(call: Any) -> speech_pb2.StreamingRecognizeResponse:
    message = await call.read()
    assert message is not grpc.aio.EOF
    return message  # type: ignore[no-any-return]


async def _goes_on(service: Running, heard: Heard, first: Config, chunks: Sequence[bytes]) -> Heard:
    """All that is said, once the stream is taken up where ``heard`` leaves it."""
    again, last = Config(), heard.tokens[-1]
    again.CopyFrom(first)
    again.resume_token = last.resume_token
    number = last.committed_sequence_number
    return Heard(heard.messages + (await converse(service, again, chunks[number - 1 :], number)).messages)


@dataclass(frozen=True)
class Mistake:
    """What a caller does wrong, and what it is told."""

    messages: list[Request]
    reason: str
    field: str


def _numbered(*numbers: int) -> list[Request]:
    first, *chunks = requests(config(), CHUNKS[: len(numbers)])
    for chunk, number in zip(chunks, numbers, strict=True):
        chunk.audio.sequence_number = number
    return [first, *chunks]


def _with_token(token: str, chunks: Sequence[bytes] = ()) -> list[Request]:
    asked = config()
    asked.resume_token = token
    return requests(asked, chunks)


def _twice() -> list[Request]:
    return [*requests(config(), CHUNKS[:2]), Request(streaming_config=config())]


GARBAGE = bytes(range(256)) * 400
SHIFTED = b"x" + CHUNKS[0][1:]
MISTAKES = {
    "audio before config": Mistake(requests(config(), CHUNKS[:1])[1:], "CONFIG_MISSING", "streaming_config"),
    "nothing in the first message": Mistake([Request()], "CONFIG_MISSING", "streaming_config"),
    "config twice": Mistake(_twice(), "CONFIG_TWICE", "streaming_config"),
    "nothing in a later message": Mistake([*requests(config(), []), Request()], "AUDIO_MISSING", "audio"),
    "a gap": Mistake(_numbered(1, 3), "SEQUENCE_GAP", "audio.sequence_number"),
    "a number again": Mistake(_numbered(1, 1), "SEQUENCE_GAP", "audio.sequence_number"),
    "not from one": Mistake(_numbered(0), "SEQUENCE_GAP", "audio.sequence_number"),
    "a chunk too large": Mistake(requests(config(), [bytes(2**20 + 2)]), "CHUNK_TOO_LARGE", "audio.content"),
    "garbage": Mistake(requests(config(AUTO), [GARBAGE]), "AUDIO_NOT_RECOGNIZED", "audio.content"),
    "another codec in mid-stream": Mistake(
        requests(config(AUTO), [flac(TALK[:16_000]), b"OggS\x00\x02" + bytes(20)]),
        "AUDIO_FORMAT_CHANGED",
        "audio.content",
    ),
    "a file as raw samples": Mistake(
        requests(config(), [flac(TALK[:16_000])]), "AUDIO_ENCODING_MISMATCH", "audio.content"
    ),
    "an unknown model": Mistake(
        requests(config(audio_pb2.RecognitionConfig(model="huge")), []),
        "MODEL_UNKNOWN",
        "streaming_config.config.model",
    ),
    "no token": Mistake(_with_token("no token"), "RESUME_TOKEN_MALFORMED", TOKEN),
    "a forged token": Mistake(_with_token("A" * 400), "RESUME_TOKEN_FORGED", TOKEN),
}


@pytest.fixture
async def service(start_speech: Start) -> AsyncIterator[Running]:
    async with start_speech("exact") as running:
        yield running


async def test_each_mistake_is_named_and_others_go_on(service: Running) -> None:
    """One stream is open all the while, a chunk for each mistake."""
    whole = await converse(service, config(), CHUNKS)
    async with calling(service, requests(config(), CHUNKS[:100]), end=False) as other:
        heard = Heard([await _next(other)])
        for name, mistake in MISTAKES.items():
            _, error = await _ends(service, mistake.messages)
            assert isinstance(error, errors.InvalidArgumentError), name
            assert (error.reason, error.field) == (mistake.reason, mistake.field), name
        for message in requests(config(), CHUNKS[100:], 101)[1:]:
            await other.write(message)
        await other.done_writing()
        while (message := await other.read()) is not grpc.aio.EOF:
            heard.messages.append(message)
    assert heard.finals == whole.finals
    assert heard.summary == whole.summary


async def test_a_mistake_is_told_after_what_was_heard_before_it(service: Running) -> None:
    whole = await converse(service, config(), CHUNKS)
    heard, error = await _ends(
        service, [*requests(config(), CHUNKS[:120]), Request(streaming_config=config())]
    )
    assert error.reason == "CONFIG_TWICE"
    assert 2 <= len(heard.finals) < len(whole.finals)
    assert (await _goes_on(service, heard, config(), CHUNKS)).finals == whole.finals


async def test_tokens_are_for_one_stream_alone(service: Running) -> None:
    heard = await converse(service, config(), CHUNKS)
    token = heard.tokens[3].resume_token
    number = heard.tokens[3].committed_sequence_number

    def again(first: Config, chunks: Sequence[bytes]) -> list[Request]:
        first.resume_token = token
        return requests(first, chunks, number)

    for messages, reason in (
        (again(config(), [SHIFTED]), "RESUME_TOKEN_OTHER_AUDIO"),
        (again(config(), CHUNKS[number : number + 1]), "RESUME_TOKEN_OTHER_AUDIO"),
        (again(config(interim_results=True), []), "RESUME_TOKEN_OTHER_CONFIG"),
        (_with_token(token[:-8] + "AAAAAAAA"), "RESUME_TOKEN_FORGED"),
    ):
        _, error = await _ends(service, messages)
        assert (error.reason, getattr(error, "field", "")) == (reason, TOKEN)


async def test_a_token_is_bound_to_numbers_too(service: Running) -> None:
    heard = await converse(service, config(), CHUNKS)
    _, error = await _ends(service, _with_token(heard.tokens[-2].resume_token, CHUNKS[:1]))
    assert error.reason == "SEQUENCE_GAP"


async def test_tokens_expire(start_speech: Start) -> None:
    async with start_speech(resume_token_seconds=0.001) as service:
        heard = await converse(service, config(), CHUNKS[:20])
        await asyncio.sleep(1.1)
        _, error = await _ends(service, _with_token(heard.tokens[0].resume_token))
        assert (error.reason, getattr(error, "field", "")) == ("RESUME_TOKEN_EXPIRED", TOKEN)


async def test_another_replica_goes_on_by_the_key_of_before(start_speech: Start, tmp_path: Path) -> None:
    old, both, new = (tmp_path / name for name in ("old", "both", "new"))
    old.write_text("the key of yesterday\n")
    both.write_text("the key of this morning\nthe key of yesterday\n")
    new.write_text("the key of this morning\n")
    async with start_speech("exact", resume_keys_file=old) as first:
        whole = await converse(first, config(), CHUNKS)
        async with calling(first, requests(config(), CHUNKS[:120]), end=False) as call:
            heard = Heard([await _next(call) for _ in range(3)])
    async with start_speech("exact", resume_keys_file=both) as second:
        assert (await _goes_on(second, heard, config(), CHUNKS)).finals == whole.finals
    async with start_speech("exact", resume_keys_file=new) as third:
        _, error = await _ends(third, _with_token(heard.tokens[-1].resume_token))
        assert error.reason == "RESUME_TOKEN_FORGED"


async def test_who_says_nothing_is_closed_and_can_go_on(start_speech: Start) -> None:
    async with start_speech("exact", stream_idle_seconds=0.4) as service:
        whole = await converse(service, config(), CHUNKS)
        heard, error = await _ends(service, requests(config(), CHUNKS[:120]))
        assert isinstance(error, errors.DeadlineExceededError)
        assert error.reason == "STREAM_IDLE"
        assert (await _goes_on(service, heard, config(), CHUNKS)).finals == whole.finals
        _, error = await _ends(service, [])
        assert error.reason == "STREAM_IDLE"


async def test_chunks_without_content_keep_a_stream_alive(start_speech: Start) -> None:
    async with (
        start_speech("exact", stream_idle_seconds=1.0) as service,
        calling(service, requests(config(), CHUNKS[:30]), end=False) as call,
    ):
        heard = Heard([await _next(call)])
        for number in range(31, 37):
            await asyncio.sleep(0.3)
            await call.write(requests(config(), [b""], number)[1])
        await call.done_writing()
        while (answer := await call.read()) is not grpc.aio.EOF:
            heard.messages.append(answer)
    assert heard.summary.complete
    acked = [one.acknowledgement.acked_sequence_number for one in heard.messages]
    assert [number for number in acked if number > 30]  # that they have come is said while they come


async def test_who_never_reads_is_closed_and_leaves_its_place(start_speech: Start) -> None:
    """The replies fill what the transport holds; then nothing more is read from the caller either."""
    settings = {"stream_idle_seconds": 0.5, "queue": 0, "stream_share": 1.0}
    async with start_speech("wordy", **settings) as service:
        many = CHUNKS * 10
        async with calling(service, requests(config(), many)):
            await until(service, "earshot_admitted_requests{", " 1.0")
            await until(service, "earshot_admitted_requests{", " 0.0")
            assert (await converse(service, config(), [])).summary.complete


async def test_who_reads_late_is_told_that_it_was_too_late(start_speech: Start) -> None:
    async with start_speech("wordy", stream_idle_seconds=0.5) as service:
        call, late = service.speech.StreamingRecognize(), asyncio.Event()

        async def speak() -> None:
            for message in requests(config(), CHUNKS * 10):
                if late.is_set():
                    return
                await call.write(message)
                await asyncio.sleep(0.01)

        speaking = asyncio.create_task(speak())
        await until(service, "earshot_admitted_requests{", " 0.2")
        await until(service, "earshot_admitted_requests{", " 0.0")
        late.set()
        await speaking  # the replica has room for what was under way
        heard, error = await _failing(call)
    assert heard.messages
    assert error.reason == "STREAM_NOT_READ"


async def test_a_slow_engine_is_told_from_a_dead_replica(
    start_speech: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While stretches wait nothing is read; the acknowledgement comes all the same, the one before again."""
    monkeypatch.setattr(session, "ALIVE", 0.05)
    async with start_speech("slow") as service, calling(service, requests(config(), CHUNKS * 3)) as call:
        acked = [0]
        while acked.count(acked[-1]) < 4 or acked[-1] == 0:
            message = await _next(call)
            acked.append(message.acknowledgement.acked_sequence_number or acked[-1])
    assert acked[-1] < len(CHUNKS) * 3


async def test_a_caller_that_goes_leaves_its_place(start_speech: Start) -> None:
    async with start_speech("slow", queue=0, stream_share=1.0) as service:
        for _ in range(3):
            async with calling(service, requests(config(), CHUNKS), end=False) as call:
                await _next(call)
            await until(service, "earshot_admitted_requests{", " 0.0")


async def test_a_full_replica_refuses_before_it_answers(start_speech: Start) -> None:
    async with start_speech("exact", queue=0, stream_share=0.5) as service:
        async with (
            calling(service, requests(config(), CHUNKS[:10]), end=False) as first,
            calling(service, requests(config(), CHUNKS[:10]), end=False) as second,
        ):
            await _next(first)
            await _next(second)
            heard, error = await _ends(service, [])  # nor has it to say what it wants
            assert heard.messages == []
            assert isinstance(error, errors.ResourceExhaustedError)
            assert error.retry_after
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await service.speech.Recognize(speech_pb2.RecognizeRequest(content=flac(TALK[:16_000])))
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        await until(service, "earshot_admitted_requests{", " 0.0")
        assert (await converse(service, config(), CHUNKS)).summary.complete


async def test_a_replica_that_leaves_says_so_first(start_speech: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("the key of all replicas\n")
    async with start_speech("exact", resume_keys_file=keys, drain_seconds=1) as leaving:
        whole = await converse(leaving, config(), CHUNKS)
        async with calling(leaving, requests(config(), CHUNKS[:120]), end=False) as call:
            heard = Heard([await _next(call)])
            os.kill(os.getpid(), signal.SIGTERM)
            while not heard.messages[-1].HasField("go_away"):
                heard.messages.append(await _next(call))
            assert heard.messages[-1].go_away.time_left.ToMilliseconds() <= 1000
            _, error = await _ends(leaving, requests(config(), []))
            assert (type(error), error.reason) == (errors.UnavailableError, "GOING_AWAY")
            rest, error = await _failing(call)
            heard.messages += rest.messages
            assert (type(error), error.reason) == (errors.UnavailableError, "GOING_AWAY")
        while workers():  # it ends by itself now
            await asyncio.sleep(0.02)
    async with start_speech("exact", resume_keys_file=keys) as staying:
        assert (await _goes_on(staying, heard, config(), CHUNKS)).finals == whole.finals


async def test_no_connection_lasts_for_ever(start_speech: Start) -> None:
    async with start_speech("exact", max_stream_seconds=0.5) as service:
        heard, error = await _ends(service, requests(config(), CHUNKS[:60]))
        assert [one for one in heard.messages if one.HasField("go_away")]
        assert (type(error), error.reason) == (errors.UnavailableError, "GOING_AWAY")


async def test_a_listener_that_dies_is_replaced_and_its_streams_go_on(service: Running) -> None:
    whole = await converse(service, config(), CHUNKS)
    async with calling(service, requests(config(), CHUNKS[:120]), end=False) as call:
        heard = Heard([await _next(call) for _ in range(3)])
        listener().kill()
        await call.write(requests(config(), CHUNKS[120:121], 121)[1])
        rest, error = await _failing(call)
    heard.messages += rest.messages
    assert (type(error), error.reason) == (errors.UnavailableError, "STREAM_LOST")
    assert (await _goes_on(service, heard, config(), CHUNKS)).finals == whole.finals


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk, as soon as it has been listened to."""
    monkeypatch.setattr(session, "_ACKNOWLEDGE", 0.0)


async def _dies_at(service: Running, heard: Heard, last: int) -> errors.EarshotError:
    """The stream of ``heard`` goes on up to its ``last`` chunk, of which the listener dies."""
    number, token = 1, ""
    if heard.tokens:
        number, token = heard.tokens[-1].committed_sequence_number, heard.tokens[-1].resume_token
    asked = config()
    asked.resume_token = token
    *before, fatal = requests(asked, CHUNKS[number - 1 : last], number)
    async with calling(service, before, end=False) as call:
        await _acked(call, heard, last - 1)
        listener().suspend()
        await call.write(fatal)
        await until(service, "earshot_workers_busy{", 'pool="listener-0"', " 1.0")
        listener().send_signal(signal.SIGSEGV)
        listener().resume()
        rest, error = await _failing(call)
    heard.messages += rest.messages
    await until(service, "earshot_workers_ready{", 'pool="listener-0"', " 1.0")
    return error


async def _acked(call: Any, heard: Heard, number: int) -> None:
    acked = -1
    while acked < number:
        heard.messages.append(await _next(call))
        acked = max(acked, heard.messages[-1].acknowledgement.acked_sequence_number)


@pytest.mark.usefixtures("acknowledged")
async def test_a_stretch_that_two_listeners_die_of_ends_its_stream(service: Running) -> None:
    """For good, and nobody is told to send it to another; after one it goes on."""
    whole, heard, spared = await converse(service, config(), CHUNKS), Heard(), Heard()
    for one in (heard, spared):
        error = await _dies_at(service, one, 120)
        assert (type(error), error.reason) == (errors.UnavailableError, "STREAM_LOST")
    assert (await _goes_on(service, spared, config(), CHUNKS)).finals == whole.finals
    error = await _dies_at(service, heard, 120)
    assert (type(error), error.reason) == (errors.InternalError, "WORKER_DIED")


@pytest.mark.usefixtures("acknowledged")
async def test_two_stretches_may_cost_a_listener_each(service: Running) -> None:
    whole, heard = await converse(service, config(), CHUNKS), Heard()
    for last in (120, 240):
        error = await _dies_at(service, heard, last)
        assert (type(error), error.reason) == (errors.UnavailableError, "STREAM_LOST")
    assert (await _goes_on(service, heard, config(), CHUNKS)).finals == whole.finals


@pytest.mark.usefixtures("acknowledged")
async def test_an_interim_that_kills_its_engine_is_the_last_of_its_stretch(start_speech: Start) -> None:
    """One engine for it, and two for the final."""
    first, *chunks = requests(config(interim_results=True), CHUNKS[:120])
    async with start_speech("abort") as service, calling(service, [first, *chunks[:20]], end=False) as call:
        await until(service, "earshot_worker_restarts_total{", 'pool="engines"', " 1.0")
        heard = Heard()
        for number, chunk in enumerate(chunks[20:], 21):
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # it has ended
                await call.write(chunk)
                await _acked(call, heard, number)
                continue
            break
        _, error = await _failing(call)
        assert (type(error), error.reason) == (errors.InternalError, "WORKER_DIED")
        await until(service, "earshot_worker_restarts_total{", 'pool="engines"', " 3.0")


async def test_an_engine_that_dies_in_mid_stream_costs_nothing(start_speech: Start) -> None:
    async with start_speech() as quick:
        whole = await converse(quick, config(), CHUNKS[:120])
    async with start_speech("slow") as service:
        async with calling(service, requests(config(), CHUNKS[:120])) as call:
            heard = Heard([await _next(call)])
            await until(service, "earshot_workers_busy{", 'pool="engines"', " 1.0")
            engine().kill()
            while (message := await call.read()) is not grpc.aio.EOF:
                heard.messages.append(message)
        await until(service, "earshot_worker_restarts_total{", 'pool="engines"', " 1.0")
    assert heard.finals == whole.finals
    assert heard.summary == whole.summary


async def test_an_engine_that_fails_fails_its_stream_alone(start_speech: Start) -> None:
    async with start_speech("crash") as service:
        # A stretch, and no more: gRPC may lose why a stream ends where its caller still writes.
        _, error = await _ends(service, requests(config(), CHUNKS[:120]))
        assert (type(error), error.reason) == (errors.InternalError, "ENGINE_FAULT")
        assert (await converse(service, config(), cut(silence(3).tobytes()))).summary.complete
