"""What a stream asks for, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from earshot import errors
from earshot.client import (
    AsyncClient,
    Client,
    Final,
    Interim,
    Labels,
    LabelScore,
    SpeechStarted,
)
from tests.rpc.client.listening import (
    GONE,
    HASTY,
    PCM,
    SECONDS,
    Listen,
    all_of,
    check,
    cut,
)
from tests.rpc.client.streaming_service import RATE, Break, Service, words


def test_interims_and_events_and_words(listen: Listen, service: Service) -> None:
    events, result = listen(
        cut(PCM),
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

    heard = listen(cut(PCM), sample_rate=RATE, labels=["a", "b"], label_model="nli", model="tiny", top_k=1)

    check(heard)
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
        client.stream(cut(PCM), sample_rate=RATE, labels=["a", "b"]) as stream,
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
        await all_of(stream)

    assert service.connections[0].relabelled == [["c", "d"]]


def test_labels_must_have_been_asked_for(service: Service) -> None:
    with (
        Client(service.target) as client,
        client.stream(cut(PCM), sample_rate=RATE) as stream,
        pytest.raises(errors.InvalidArgumentError, match="from its beginning"),
    ):
        stream.relabel(["a"])


def test_the_caller_s_metadata_goes_along(service: Service) -> None:
    with Client(service.target, metadata={"X-Team": "red"}) as client:
        list(client.stream(cut(PCM), sample_rate=RATE))

    assert service.connections[0].metadata["x-team"] == "red"
