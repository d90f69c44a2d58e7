"""Streams over the real wire: whatever breaks, every second is heard once, in order, at its place."""

from __future__ import annotations

import asyncio
import io
import os
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from earshot import errors
from earshot.client import (
    AsyncClient,
    Client,
    Final,
    Interim,
    Labels,
    LabelScore,
    Reconnecting,
    Resumed,
    RetryPolicy,
    SpeechStarted,
    UncommittedLimitError,
)
from earshot.client.streaming import session
from earshot.client.streaming import stream as streams
from earshot.client.streaming.transcoding import codec
from tests.rpc.client.streaming_service import RATE, Break, Service, serving, spoken, words

HASTY = RetryPolicy(initial=0.0, maximum=0.0)
SECONDS = 6
GONE = errors.UnavailableError("gone")

Heard = tuple[list[Any], Any]  # events and result
Listen = Callable[..., Heard]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def listen(request: pytest.FixtureRequest, service: Service) -> Listen:
    def sync(source: Any, **options: Any) -> Heard:
        with Client(service.target, retry=HASTY) as client, client.stream(source, **options) as stream:
            return list(stream), stream.result

    async def listened(source: Any, **options: Any) -> Heard:
        async with (
            AsyncClient(service.target, retry=HASTY) as client,
            client.stream(source, **options) as stream,
        ):
            return [event async for event in stream], stream.result

    return sync if request.param == "sync" else lambda *a, **k: asyncio.run(listened(*a, **k))


def _pieces(content: bytes, size: int = 7_001) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def _wav(content: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(content)
    return file.getvalue()


def _flac(content: bytes) -> bytes:
    encoder = codec("flac").new()
    return b"".join([encoder.encode(piece) for piece in _pieces(content, 3_200)] + [encoder.finish()])


def _noise(seconds: int) -> bytes:
    """What no codec makes small."""
    return np.random.default_rng(1).integers(-8_000, 8_000, seconds * RATE, dtype="<i2").tobytes()


async def _live(content: bytes) -> AsyncIterator[bytes]:
    for piece in _pieces(content):
        yield piece


RAW: dict[str, Any] = {"sample_rate": RATE}
PCM = spoken(SECONDS)


def _source(kind: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A source of that kind, and its options."""
    for name, content in (("a.wav", _wav(PCM)), ("a.flac", _flac(PCM))):
        (folder / name).write_bytes(content)
    return {
        "pieces": (_pieces(PCM), RAW),
        "live pieces": (_live(PCM), RAW),
        "encoded here": (_pieces(PCM), RAW | {"codec": "flac"}),
        "live, encoded here": (_live(PCM), RAW | {"codec": "flac"}),
        "array": (np.frombuffer(PCM, dtype="<i2"), RAW),
        "array of floats": (np.frombuffer(PCM, dtype="<i2") / 32768, RAW),
        "WAV": (folder / "a.wav", {}),
        "WAV in memory": (_wav(PCM), {}),
        "WAV, encoded here": (folder / "a.wav", {"codec": "flac"}),
        "open file": (io.BytesIO(_flac(PCM)), {}),
        "FLAC": (str(folder / "a.flac"), {}),
        "FLAC in memory": (_flac(PCM), {}),
        "FLAC in pieces": (_pieces(_flac(PCM), 500), {"encoding": "flac"}),
        "FLAC, encoded here": (folder / "a.flac", {"codec": "flac"}),
        "FLAC in live pieces, encoded here": (_live(_flac(PCM)), {"encoding": "flac", "codec": "flac"}),
    }[kind]


KINDS = (
    "pieces",
    "live pieces",
    "encoded here",
    "live, encoded here",
    "array",
    "array of floats",
    "WAV",
    "WAV in memory",
    "WAV, encoded here",
    "open file",
    "FLAC",
    "FLAC in memory",
    "FLAC in pieces",
    "FLAC, encoded here",
    "FLAC in live pieces, encoded here",
)


def _check(heard: Heard, seconds: int = SECONDS) -> None:
    """Every second once, in order, at its place, and no more; the account says the same."""
    events, result = heard
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.text for final in finals] == words(seconds)
    assert [(final.segment.start, final.segment.end) for final in finals] == [
        (at, at + 1) for at in range(seconds)
    ]
    assert result.text == " ".join(words(seconds))
    assert (result.summary.finals, result.summary.complete) == (seconds, True)
    assert result.summary.audio_received == seconds


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)

    _check(listen(source, **options))

    assert [each.config.resume_token for each in service.connections] == [""]


@pytest.mark.parametrize("kind", KINDS)
def test_connections_break(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)
    service.then(*(Break(chunks, GONE) for chunks in (0, 1, 3, 2, 5, 4)))

    _check(listen(source, **options))

    assert len(service.connections) > 2


def test_raw_samples_go_on_with_the_chunks_that_are_not_committed(listen: Listen, service: Service) -> None:
    service.then(Break(12, GONE))
    pieces = _pieces(PCM)

    events, _ = listen(pieces, sample_rate=RATE)

    first, second = service.connections
    committed = 2 * RATE * 2  # 12 pieces of 7,001 bytes hold two seconds
    assert first.numbers == list(range(1, 13))
    assert first.config.resume_token == ""
    assert second.config.resume_token.startswith(f"{2 * RATE}:")
    assert second.numbers == list(range(committed // 7_001 + 1, len(pieces) + 1))
    assert second.sizes == [len(piece) for piece in pieces[committed // 7_001 :]]
    assert not second.config.audio_from_committed_offset
    assert second.config.config == first.config.config
    broken, resumed = (event for event in events if isinstance(event, Reconnecting | Resumed))
    assert (broken.attempt, broken.cause.message, resumed) == (1, "gone", Resumed(2.0))


def test_a_long_file_is_read_again_from_its_beginning(
    listen: Listen, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "READ_AHEAD", 64 * 1024)
    path = tmp_path / "long.flac"
    path.write_bytes(_flac(_noise(40)))
    service.then(Break(2, GONE), Break(3, GONE))

    _, result = listen(path)

    assert sum(service.connections[-1].sizes) == path.stat().st_size
    assert (result.summary.audio_received, result.summary.complete) == (40, True)


async def test_what_a_pipe_has_is_sent_at_once(service: Service) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as spoken_into:
        async with AsyncClient(service.target) as client:
            stream = client.stream(source, encoding="linear16", sample_rate=RATE, interim_results=False)
            spoken_into.write(PCM[: RATE * 2])  # less than a buffer
            event = await anext(stream)
            while not isinstance(event, Final):
                event = await anext(stream)
            spoken_into.close()
            rest = await _all(stream)

    assert event.text == "w1"
    assert not [each for each in rest if isinstance(each, Final)]


def test_a_break_after_the_last_word_is_none(listen: Listen, service: Service) -> None:
    service.ends_badly = True

    _check(listen(_pieces(PCM), sample_rate=RATE))

    assert len(service.connections) == 1


def test_what_is_encoded_here_begins_anew_with_the_committed_sample(listen: Listen, service: Service) -> None:
    service.then(Break(23, GONE))

    _check(listen(_pieces(PCM), sample_rate=RATE, codec="flac"))

    first, second = service.connections
    explicit = first.config.config.explicit_decoding_config
    assert explicit.encoding == explicit.AUDIO_ENCODING_FLAC
    assert second.config.audio_from_committed_offset
    assert second.numbers[0] == 1
    assert sum(second.sizes) < sum(len(piece) for piece in _pieces(PCM)) / 2


def test_a_file_with_a_header_is_sent_whole_again(listen: Listen, service: Service, tmp_path: Path) -> None:
    service.then(Break(1, GONE))
    source, _ = _source("FLAC", tmp_path)

    _check(listen(source))

    assert [each.numbers[0] for each in service.connections] == [1, 1]
    assert sum(service.connections[1].sizes) == Path(source).stat().st_size
    assert not service.connections[1].config.audio_from_committed_offset


def test_opus_is_encoded_here(listen: Listen, service: Service) -> None:
    service.then(Break(15, GONE))

    events, result = listen(_pieces(PCM), sample_rate=RATE, codec="opus:16k")

    assert len([event for event in events if isinstance(event, Final)]) == SECONDS
    assert result.summary.audio_received == pytest.approx(SECONDS, abs=0.01)
    explicit = service.connections[0].config.config.explicit_decoding_config
    assert explicit.encoding == explicit.AUDIO_ENCODING_OGG_OPUS
    assert sum(service.connections[0].sizes) * 8 < 3 * 24_000


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

    heard = listen(_pieces(PCM), sample_rate=RATE)

    _check(heard)
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
        listen(_pieces(PCM), sample_rate=RATE)

    assert caught.value.reason == expected.reason
    assert caught.value.request_id == service.connections[0].metadata["x-request-id"]
    assert len(service.connections) == 1


def test_an_end_without_a_summary_is_a_fault(listen: Listen, service: Service) -> None:
    service.then(Break(9, ends_well=True))

    with pytest.raises(errors.InternalError, match="without its summary"):
        listen(_pieces(PCM), sample_rate=RATE)


def test_a_final_that_comes_again_is_not_given_again(listen: Listen, service: Service) -> None:
    service.repeats = True
    service.then(Break(12, GONE), Break(8, GONE))

    _check(listen(_pieces(PCM), sample_rate=RATE))


def test_trouble_without_progress_is_given_up(listen: Listen, service: Service) -> None:
    service.then(Break(9, GONE), *[Break(0, GONE)] * 10_000)

    with pytest.raises(errors.UnavailableError, match="gone") as caught:
        listen(_pieces(PCM), sample_rate=RATE, give_up_after=0.2)

    assert "committed up to 1 s" in caught.value.__notes__[0]


def test_progress_starts_the_count_anew(listen: Listen, service: Service) -> None:
    # Many more breaks than a call has attempts, and each second needs 5 chunks: one is committed between.
    service.then(*[Break(6, GONE)] * 8)

    _check(listen(_pieces(spoken(8)), sample_rate=RATE), seconds=8)

    assert len(service.connections) == 9


def test_before_the_first_answer_attempts_count(listen: Listen, service: Service) -> None:
    service.then(*[Break(0, GONE)] * 10)

    with pytest.raises(errors.UnavailableError):
        listen(_pieces(PCM), sample_rate=RATE)

    assert len(service.connections) == HASTY.max_attempts


def test_interims_and_events_and_words(listen: Listen, service: Service) -> None:
    events, result = listen(
        _pieces(PCM),
        sample_rate=RATE,
        word_offsets=True,
        speech_events=True,
        model="tiny",
        language="en",
        end_silence=0.5,
        max_segment=20,
    )

    config = service.connections[0].config
    assert config.streaming_features.interim_results
    assert config.streaming_features.endpointing.end_silence.ToNanoseconds() == 500_000_000
    assert config.streaming_features.endpointing.max_segment.seconds == 20
    assert not config.streaming_features.endpointing.HasField("pre_roll")
    assert (config.config.model, config.config.language_code) == ("tiny", "en")
    interim = next(event for event in events if isinstance(event, Interim))
    assert (interim.stable, interim.unstable, interim.text) == ("so", "far", "so far")
    assert SpeechStarted(0.0) in events
    assert [word.text for word in result.words] == words(SECONDS)
    final = next(event for event in events if isinstance(event, Final))
    assert (final.replica, result.language) == ("stt-1", "en")


def test_labels(listen: Listen, service: Service) -> None:
    service.then(Break(9, GONE))

    heard = listen(
        _pieces(PCM), sample_rate=RATE, labels=["a", "b"], label_model="nli", model="tiny", top_k=1
    )

    _check(heard)
    events, result = heard
    for connection in service.connections:
        assert connection.method == "classify"
        scoring = connection.config.classification_config
        assert (list(scoring.candidate_labels), scoring.model, scoring.top_k) == (["a", "b"], "nli", 1)
        assert connection.config.recognition_config.model == "tiny"
    scored = [event for event in events if isinstance(event, Labels)]
    assert len(scored) == SECONDS
    assert scored[0].segment.best == LabelScore("a", 0.75)
    assert scored[0].is_final
    assert result.conversation.best == LabelScore("b", 0.5)


def test_other_labels_in_mid_stream_hold_also_after_a_break(service: Service) -> None:
    service.then(Break(12, GONE))
    with (
        Client(service.target, retry=HASTY) as client,
        client.stream(_pieces(PCM), sample_rate=RATE, labels=["a", "b"]) as stream,
    ):
        next(stream)
        stream.relabel(["c", "d"])
        list(stream)

    first, second = service.connections
    assert first.config.classification_config.candidate_labels == ["a", "b"]
    assert first.relabelled in ([["c", "d"]], [])  # the break may come before
    assert second.config.classification_config.candidate_labels == ["c", "d"]
    assert second.relabelled == []
    assert stream.result.text == " ".join(words(SECONDS))


async def test_other_labels_are_sent_at_once(service: Service) -> None:
    told = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        yield PCM
        await told.wait()

    async with AsyncClient(service.target) as client:
        stream = client.stream(waiting(), sample_rate=RATE, labels=["a", "b"])
        await anext(stream)
        stream.relabel(["c", "d"])
        while not service.connections[0].relabelled:
            await asyncio.sleep(0.01)
        told.set()
        await _all(stream)

    assert service.connections[0].relabelled == [["c", "d"]]


def test_labels_must_have_been_asked_for(service: Service) -> None:
    with (
        Client(service.target) as client,
        client.stream(_pieces(PCM), sample_rate=RATE) as stream,
        pytest.raises(errors.InvalidArgumentError, match="from its beginning"),
    ):
        stream.relabel(["a"])


class Counted:
    """Pieces, and how many were taken; the last ones only when the service reads again."""

    def __init__(self, count: int, size: int = 32_000) -> None:
        self.count, self.size, self.taken = count, size, 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.count):
            self.taken += 1
            yield bytes(self.size)


def test_the_source_waits_where_as_much_is_kept_as_may_be(listen: Listen, service: Service) -> None:
    service.commits = False
    source = Counted(100)

    with pytest.raises(UncommittedLimitError, match="max_uncommitted_bytes") as caught:
        listen(source, sample_rate=RATE, max_uncommitted_bytes=320_000, give_up_after=0.2)

    assert caught.value.held == 320_000
    assert source.taken == 11
    assert sum(service.connections[0].sizes) <= 320_000


def test_the_source_goes_on_when_there_is_room(listen: Listen, service: Service) -> None:
    _check(listen(_pieces(PCM), sample_rate=RATE, max_uncommitted_bytes=2 * RATE * 2, give_up_after=10_000))


def test_a_file_with_a_header_that_cannot_be_kept(listen: Listen, service: Service) -> None:
    with pytest.raises(UncommittedLimitError, match="codec='flac'"):
        listen(io.BytesIO(_flac(_noise(4))), max_uncommitted_bytes=1_000)


def test_the_source_s_own_error_is_raised(listen: Listen, service: Service) -> None:
    def broken() -> Iterator[bytes]:
        yield PCM[:40_000]
        raise ZeroDivisionError("of the source")

    with pytest.raises(ZeroDivisionError, match="of the source"):
        listen(broken(), sample_rate=RATE)


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("no/such/file.wav", {}, errors.NotFoundError, "there is no file"),
        (42, {}, errors.InvalidArgumentError, "audio cannot be read from int"),
        ([b"abc"], {}, errors.InvalidArgumentError, "state sample_rate"),
        (["abc"], RAW, errors.InvalidArgumentError, "must be bytes, not str"),
        ([b"abc"], RAW | {"codec": "mp3"}, errors.InvalidArgumentError, "there is no codec 'mp3'"),
        ([b"abc"], RAW | {"codec": "opus:fast"}, errors.InvalidArgumentError, "no bit rate"),
        (b"no audio at all" * 100, {"codec": "flac"}, errors.InvalidArgumentError, "cannot be decoded"),
        ([b"abc"], RAW | {"give_up_after": 0}, errors.InvalidArgumentError, "above 0"),
        ([b"abc"], RAW | {"colour": "red"}, TypeError, "unknown argument 'colour'"),
    ],
)
def test_what_is_refused_before_it_is_sent(
    listen: Listen, source: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        listen(source, **options)


def test_nothing_to_hear(listen: Listen, service: Service) -> None:
    events, result = listen([], sample_rate=RATE)

    assert (events, result.text, result.summary.complete) == ([], "", True)


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

    _check((events, stream.result))
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
        stream = client.stream(_pieces(PCM), sample_rate=RATE)
        events = [event async for event in stream]

    _check((events, stream.result))
    (broken,) = (event for event in events if isinstance(event, Reconnecting))
    assert broken.cause.reason == "STREAM_SILENT"


async def test_finish_ends_the_source_and_loses_nothing(service: Service) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for piece in _pieces(spoken(3)):
            yield piece
        await asyncio.Event().wait()

    async with AsyncClient(service.target, retry=HASTY) as client:
        stream = client.stream(endless(), sample_rate=RATE)
        events = []
        async for event in stream:
            events.append(event)
            if isinstance(event, Final) and event.text == "w2":
                stream.finish()

    assert stream.result.text.startswith("w1 w2")
    assert stream.summary
    assert stream.summary.complete


def test_finish_ends_a_file_also_after_a_break(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "READ_AHEAD", 64 * 1024)
    path = tmp_path / "long.flac"
    path.write_bytes(_flac(_noise(300)))
    service.then(Break(4, GONE))
    with Client(service.target, retry=HASTY) as client, client.stream(path) as stream:
        for event in stream:
            if isinstance(event, Resumed):
                stream.finish()

    assert stream.summary
    assert stream.summary.complete
    assert sum(service.connections[1].sizes) < path.stat().st_size


def test_leaving_early(service: Service) -> None:
    with Client(service.target) as client:
        with client.stream(_pieces(PCM), sample_rate=RATE) as stream:
            next(stream)
        assert list(stream) == []
        assert stream.summary is None


async def test_closing_under_another_task(service: Service) -> None:
    async def silence() -> AsyncIterator[bytes]:
        yield b"\0\0"
        await asyncio.Event().wait()

    async with AsyncClient(service.target) as client:
        stream = client.stream(silence(), sample_rate=RATE, interim_results=False)
        reading = asyncio.create_task(_all(stream))
        while not service.connections:
            await asyncio.sleep(0.01)
        await stream.aclose()
        assert all(not isinstance(event, Final) for event in await reading)


async def _all(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def test_cancelling_the_reader(service: Service) -> None:
    async with AsyncClient(service.target) as client, client.stream(_forever(), sample_rate=RATE) as stream:
        reading = asyncio.create_task(_all(stream))
        while not service.connections:
            await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def _forever() -> AsyncIterator[bytes]:
    yield b"\0\0"
    await asyncio.Event().wait()


async def test_closing_the_client_ends_its_streams(service: Service) -> None:
    client = AsyncClient(service.target, retry=HASTY)
    stream = client.stream(_forever(), sample_rate=RATE)
    await anext(stream)

    await client.close()

    with pytest.raises(errors.CancelledError, match="closed"):
        await _all(stream)


def test_a_closed_client_streams_no_more(service: Service) -> None:
    with Client(service.target) as client:
        pass

    with pytest.raises(errors.FailedPreconditionError, match="closed"):
        client.stream(_pieces(PCM), sample_rate=RATE)


def test_the_caller_s_metadata_goes_along(service: Service) -> None:
    with Client(service.target, metadata={"X-Team": "red"}) as client:
        list(client.stream(_pieces(PCM), sample_rate=RATE))

    assert service.connections[0].metadata["x-team"] == "red"
