"""Live speech against labels, over the wire: a real listener, and two services that talk to each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.classification import streaming
from earshot.gen.v1 import classification_pb2, classification_pb2_grpc, streaming_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc.conftest import Running, Start, free_port
from tests.rpc.live import PCM, config, cut, talk
from tests.rpc.seen import until

Config = classification_pb2.StreamingClassifySpeechConfig
Labels = classification_pb2.ClassificationConfig
Request = classification_pb2.StreamingClassifySpeechRequest
Response = classification_pb2.StreamingClassifySpeechResponse

CHUNKS = cut(talk().tobytes())
TWO = Labels(candidate_labels=["a", "bbb"])


@asynccontextmanager
async def both(
    start_speech: Start, start_texts: Start, keys: Path | None = None, **settings: Any
) -> AsyncIterator[tuple[Running, Running]]:
    """The two services; they have keys in common where a file is given."""
    shared = {"resume_keys_file": keys} if keys else {}
    async with (
        start_speech("exact", **shared) as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}", **shared, **settings) as texts,
    ):
        yield speech, texts


def first(labels: Labels = TWO, token: str = "", **features: Any) -> Request:
    features_of = config(**features).streaming_features
    return Request(
        streaming_config=Config(
            recognition_config=PCM,
            classification_config=labels,
            streaming_features=features_of,
            resume_token=token,
        )
    )


def audio(chunks: Sequence[bytes], number: int = 1) -> list[Request]:
    return [
        Request(audio=streaming_pb2.AudioChunk(content=content, sequence_number=at))
        for at, content in enumerate(chunks, number)
    ]


async def converse(service: Running, messages: Sequence[Request], most: int = 10_000) -> list[Response]:
    """What is answered, up to ``most`` messages; then the call is given up."""

    async def sent() -> AsyncIterator[Request]:
        for message in messages:
            yield message

    heard: list[Response] = []
    call = service.texts.StreamingClassifySpeech(sent())
    async for message in call:
        heard.append(message)
        if len(heard) >= most:
            call.cancel()
            break
    return heard


async def refused(service: Running, messages: Sequence[Request]) -> errors.EarshotError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await converse(service, messages)
    return from_rpc_error(caught.value)


def finals(heard: Sequence[Response]) -> list[str]:
    return [one.alternatives[0].transcript for each in heard for one in each.results if one.is_final]


def labels(result: classification_pb2.ClassificationResult) -> list[tuple[str, float]]:
    return [(one.label, round(one.score, 4)) for one in result.labels]


async def test_each_final_is_scored_and_the_conversation_too(start_speech: Start, start_texts: Start) -> None:
    async with both(start_speech, start_texts) as (_, texts):
        heard = await converse(texts, [first(), *audio(CHUNKS)])
    spoken = [one for one in heard if one.results]
    assert len(spoken) >= 5
    for one in spoken:
        assert labels(one.segment_classification) == [("bbb", 0.75), ("a", 0.25)]
        assert labels(one.conversation_classification) == [("bbb", 0.75), ("a", 0.25)]
        assert one.classification_metadata.selection.engine == "fake"
        assert one.classification_metadata.replica == "cls-test"
        assert one.recognition_metadata.replica == "stt-test"
        assert one.acknowledgement.resume_token
    assert heard[-1].summary.complete
    assert labels(heard[-1].conversation_classification) == [("bbb", 0.75), ("a", 0.25)]


async def test_who_never_reads_is_listened_to_no_longer(start_speech: Start, start_texts: Start) -> None:
    """So that nothing moves any more, and the proxy ends the call: gRPC cannot."""
    long = Labels(candidate_labels=[f"{number:01000}" for number in range(40)])
    options = [("grpc.http2.bdp_probe", 0)]  # so that a window is 64 KiB
    async with (
        both(start_speech, start_texts, stream_idle_seconds=0.5) as (_, service),
        grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options) as channel,
    ):
        call = classification_pb2_grpc.ZeroShotClassifierStub(channel).StreamingClassifySpeech()
        left = asyncio.Event()

        async def speak() -> None:
            for message in [first(long), *audio(CHUNKS * 40)]:
                await call.write(message)
                await asyncio.sleep(0.005)
                if left.is_set():
                    break
            for message in audio([bytes(2**20)] * 8):
                await call.write(message)

        speaking = asyncio.create_task(speak())
        await until(service, "earshot_admitted_requests{", " 0.2")
        await until(service, "earshot_admitted_requests{", " 0.0")
        left.set()
        _, waiting = await asyncio.wait([speaking], timeout=3)
        assert waiting, "all was taken"
        speaking.cancel()


async def test_silence_is_none_of_the_labels(start_speech: Start, start_texts: Start) -> None:
    async with both(start_speech, start_texts) as (_, texts):
        heard = await converse(texts, [first(), *audio([bytes(3200)] * 10)])
    assert heard[-1].summary.complete
    assert heard[-1].conversation_classification.none_of_these
    assert not finals(heard)


async def test_labels_change_in_mid_stream(start_speech: Start, start_texts: Start) -> None:
    half = len(CHUNKS) // 2
    change = Request(classification_config=Labels(candidate_labels=["cc", "dd", "eeee"]))
    scored, heard = asyncio.Event(), []

    async def sent() -> AsyncIterator[Request]:
        for message in [first(), *audio(CHUNKS[:half])]:
            yield message
        await scored.wait()
        for message in [change, *audio(CHUNKS[half:], half + 1)]:
            yield message

    async with both(start_speech, start_texts) as (_, texts):
        async for message in texts.texts.StreamingClassifySpeech(sent()):
            heard.append(message)
            if message.conversation_classification.labels:
                scored.set()
    named = [{label for label, _ in labels(one.conversation_classification)} for one in heard]
    named = [one for one in named if one]
    assert named[0] == {"a", "bbb"}
    assert named[-1] == {"cc", "dd", "eeee"}


async def test_interims_are_scored_now_and_then(start_speech: Start, start_texts: Start) -> None:
    async with both(start_speech, start_texts) as (_, texts):
        heard = await _paced(texts, [first(interim_results=True), *audio(CHUNKS[:80])])
    interims = [one for one in heard if one.results and not one.results[0].is_final]
    assert interims
    scored = [one for one in interims if one.segment_classification.labels]
    assert 0 < len(scored) <= len(interims)


async def _paced(service: Running, messages: Sequence[Request]) -> list[Response]:
    async def sent() -> AsyncIterator[Request]:
        for message in messages:
            yield message
            await asyncio.sleep(0.03)

    return [message async for message in service.texts.StreamingClassifySpeech(sent())]


async def test_a_break_changes_nothing(start_speech: Start, start_texts: Start) -> None:
    async with both(start_speech, start_texts) as (_, texts):
        whole = await converse(texts, [first(), *audio(CHUNKS)])
        heard: list[Response] = []
        last = streaming_pb2.StreamAcknowledgement(committed_sequence_number=1)
        while not heard or not heard[-1].HasField("summary"):
            start = last.committed_sequence_number
            messages = [first(token=last.resume_token), *audio(CHUNKS[start - 1 :], start)]
            heard += await converse(texts, messages, most=4)
            last = [one.acknowledgement for one in heard if one.acknowledgement.resume_token][-1]
    assert finals(heard) == finals(whole)
    assert heard[-1].summary == whole[-1].summary
    assert labels(heard[-1].conversation_classification) == labels(whole[-1].conversation_classification)


async def test_any_replica_goes_on_that_has_the_key(
    start_speech: Start, start_texts: Start, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one key for all of them\n".replace(" ", "-"))
    async with both(start_speech, start_texts, keys) as (_, texts):
        heard = await converse(texts, [first(), *audio(CHUNKS)], most=6)
        last = [one.acknowledgement for one in heard if one.acknowledgement.resume_token][-1]
    async with both(start_speech, start_texts, keys) as (_, texts):
        start = last.committed_sequence_number
        rest = await converse(texts, [first(token=last.resume_token), *audio(CHUNKS[start - 1 :], start)])
        assert rest[-1].summary.complete
        assert rest[-1].summary.finals_sent == len(finals(heard)) + len(finals(rest))
    async with both(start_speech, start_texts) as (_, texts):
        error = await refused(texts, [first(token=last.resume_token)])
        assert error.reason == "RESUME_TOKEN_FORGED"


@pytest.mark.parametrize(
    ("messages", "reason", "field"),
    [
        (audio([b"xx"]), "CONFIG_MISSING", "streaming_config"),
        ([first(), first()], "CONFIG_TWICE", "streaming_config"),
        ([first(), Request()], "AUDIO_MISSING", "audio"),
        ([first(), *audio([b"xx"], 5)], "SEQUENCE_GAP", "audio.sequence_number"),
        (
            [first(Labels(candidate_labels=["one"]))],
            "ONE_LABEL",
            "streaming_config.classification_config.candidate_labels",
        ),
        (
            [first(), Request(classification_config=Labels())],
            "LABELS_REQUIRED",
            "classification_config.candidate_labels",
        ),
        ([first(token="not a token")], "RESUME_TOKEN_MALFORMED", "streaming_config.resume_token"),
    ],
)
async def test_what_is_wrong_is_told(
    start_speech: Start, start_texts: Start, messages: list[Request], reason: str, field: str
) -> None:
    async with both(start_speech, start_texts) as (_, texts):
        error = await refused(texts, messages)
    assert isinstance(error, errors.InvalidArgumentError)
    assert (error.reason, error.field) == (reason, field)


async def test_what_the_other_service_refuses_has_this_ones_field(
    start_speech: Start, start_texts: Start
) -> None:
    message = first()
    message.streaming_config.recognition_config.language_code = "tlh"
    async with both(start_speech, start_texts) as (_, texts):
        error = await refused(texts, [message, *audio(CHUNKS[:2])])
    assert error.reason == "LANGUAGE_NOT_SUPPORTED"
    assert error.field == "streaming_config.recognition_config.language_code"


async def test_without_the_other_service_it_says_so(start_texts: Start) -> None:
    async with start_texts(speech_target=f"127.0.0.1:{free_port()}") as texts:
        error = await refused(texts, [first(), *audio(CHUNKS[:2])])
    assert isinstance(error, errors.UnavailableError)


async def test_a_caller_who_says_nothing_is_closed(start_speech: Start, start_texts: Start) -> None:
    async with both(start_speech, start_texts, stream_idle_seconds=0.2) as (_, texts):
        call = texts.texts.StreamingClassifySpeech()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert from_rpc_error(caught.value).reason == "STREAM_IDLE"


async def test_while_a_scoring_takes_long_the_stream_shows_that_it_lives(
    start_speech: Start, start_texts: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "ALIVE", 0.05)
    async with (
        start_speech("exact") as speech,
        start_texts("slow", speech_target=f"127.0.0.1:{speech.port}") as texts,
    ):
        heard = await converse(texts, [first(), *audio(CHUNKS[:100])])
    signs = [one for one in heard if one == Response(acknowledgement=one.acknowledgement)]
    assert [one for one in signs if not one.acknowledgement.resume_token]
    assert heard[-1].summary.complete


async def test_a_full_replica_refuses_before_it_answers(start_speech: Start, start_texts: Start) -> None:
    room = {"queue": 0, "stream_share": 1.0}
    async with both(start_speech, start_texts, **room) as (_, texts):
        call = texts.texts.StreamingClassifySpeech()
        await call.write(first())
        await call.read()
        error = await refused(texts, [first()])
        assert isinstance(error, errors.ResourceExhaustedError)
        assert error.retry_after > 0
        call.cancel()


async def test_after_a_while_the_caller_is_sent_on(start_speech: Start, start_texts: Start) -> None:
    settings = {"max_stream_seconds": 0.3, "drain_seconds": 0.2}
    async with both(start_speech, start_texts, **settings) as (_, texts):
        call = texts.texts.StreamingClassifySpeech()
        await call.write(first())
        answers = [await call.read(), await call.read()]
        assert answers[0].acknowledgement.resume_token
        assert answers[1].go_away.time_left.ToNanoseconds() == 200_000_000
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert from_rpc_error(caught.value).reason == "GOING_AWAY"
