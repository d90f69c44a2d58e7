"""Redaction and the profanity filter over the wire: by request, by rule, in streams and in scored speech."""

from __future__ import annotations

import pytest

from earshot.gen.v1 import audio_pb2, classification_pb2, speech_pb2
from tests.rpc import clips
from tests.rpc.conftest import Running, Start
from tests.rpc.live import PCM, Config, Heard, calling, cut, requests, talk
from tests.rpc.live import config as stream_config

Features = audio_pb2.RecognitionFeatures
NUMBER = Features.REDACTION_KIND_NUMBER
MASKED = "damn s*** call [NUMBER] now"


async def heard(service: Running, **features: object) -> audio_pb2.SpeechRecognitionAlternative:
    config = audio_pb2.RecognitionConfig(features=Features(**features))  # type: ignore[arg-type]
    request = speech_pb2.RecognizeRequest(config=config, content=clips.wav(2.0))
    answer: speech_pb2.RecognizeResponse = await service.speech.Recognize(request)
    return answer.results[0].alternatives[0]


async def test_by_request(start_speech: Start) -> None:
    async with start_speech("telling") as service:
        plain = await heard(service)
        masked = await heard(service, profanity_filter=True, redact=[NUMBER], enable_word_time_offsets=True)
        other = await heard(service, redact=[Features.REDACTION_KIND_CARD])
    assert plain.transcript == other.transcript == "damn shit call four one one two now"
    assert masked.transcript == MASKED
    assert [word.word for word in masked.words] == MASKED.split()
    number = masked.words[3]
    assert (number.start_offset.ToMilliseconds(), number.end_offset.ToMilliseconds()) == (750, 1750)


async def test_by_the_operators_rule(start_speech: Start) -> None:
    async with start_speech("telling", redact="number,card", profanity_filter=True) as service:
        assert (await heard(service)).transcript == MASKED
        assert (await heard(service, redact=[Features.REDACTION_KIND_EMAIL])).transcript == MASKED


async def streamed(service: Running, **features: object) -> Heard:
    """Half a minute of speech, with interim results."""
    config = audio_pb2.RecognitionConfig()
    config.CopyFrom(PCM)
    config.features.CopyFrom(Features(**features))  # type: ignore[arg-type]
    first: Config = stream_config(config, interim_results=True)
    async with calling(service, requests(first, cut(talk().tobytes()))) as call:
        return Heard([message async for message in call])


def said(heard: Heard) -> set[str]:
    """All transcripts, final or not, and all words."""
    readings = [one.alternatives[0] for message in heard.messages for one in message.results]
    return {one.transcript for one in readings} | {word.word for one in readings for word in one.words}


@pytest.mark.parametrize("by_rule", [False, True])
async def test_a_stream_says_nothing_that_it_must_take_back(start_speech: Start, by_rule: bool) -> None:
    """Where words are cut, too: ``config`` has stretches of four seconds."""
    asked = {} if by_rule else {"redact": [NUMBER]}
    async with start_speech("telling", redact="number" if by_rule else "") as service:
        heard = await streamed(service, enable_word_time_offsets=True, **asked)
    assert len(heard.finals) >= 5
    assert all(result.is_final for message in heard.messages for result in message.results)
    digits = {"four", "one", "two"}
    assert not [text for text in said(heard) if digits & set(text.split())]
    assert any("[NUMBER]" in text for text in said(heard))


async def test_interims_are_filtered_too(start_speech: Start) -> None:
    async with start_speech("telling") as service:
        heard = await streamed(service, profanity_filter=True)
    assert any("s***" in text for text in said(heard))
    assert not any("shit" in text for text in said(heard))


async def test_scored_speech_is_masked_before_it_is_scored(start_speech: Start, start_texts: Start) -> None:
    config = audio_pb2.RecognitionConfig(features=Features(redact=[NUMBER], profanity_filter=True))
    labels = classification_pb2.ClassificationConfig(candidate_labels=["a", "bbb"])
    request = classification_pb2.ClassifySpeechRequest(
        content=clips.wav(2.0), recognition_config=config, classification_config=labels
    )
    async with (
        start_speech("telling") as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}") as service,
    ):
        answer = await service.texts.ClassifySpeech(request)
    assert answer.transcript == MASKED
    assert answer.classification_metadata.billed_characters == len(MASKED)
