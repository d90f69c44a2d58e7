"""Recognize and ListModels of the speech-to-text service, over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_status import rpc_status

from earshot import errors
from earshot.gen.v1 import audio_pb2, models_pb2, speech_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc import clips
from tests.rpc.conftest import Start

Config = audio_pb2.RecognitionConfig
Explicit = audio_pb2.ExplicitDecodingConfig
Features = audio_pb2.RecognitionFeatures


async def _refusal(call: object) -> errors.EarshotError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    assert rpc_status.from_call(caught.value) is not None, "the details must come along"
    return from_rpc_error(caught.value)


def _seconds(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()


async def test_a_clip_is_written_down(start_speech: Start) -> None:
    async with start_speech() as service:
        config = Config(features=Features(enable_word_time_offsets=True), language_code="en-GB")
        call = service.speech.Recognize(speech_pb2.RecognizeRequest(config=config, content=clips.wav(2.0)))
        response = await call
        result = response.results[0]
        alternative = result.alternatives[0]
        assert alternative.transcript == "heard 32000"
        assert alternative.confidence == 0.75
        assert [word.word for word in alternative.words] == ["heard", "32000"]
        assert _seconds(alternative.words[1].start_offset) == 1.0
        assert not alternative.words[0].HasField("confidence")
        assert alternative.words[1].confidence == 0.5
        assert (result.is_final, result.stability, result.language_code) == (True, 0, "en")
        assert (_seconds(result.result_start_offset), _seconds(result.result_end_offset)) == (0.0, 2.0)
        assert ("earshot-replica", "stt-test") in tuple(await call.trailing_metadata())


async def test_an_answer_says_who_gave_it_and_where_the_time_went(start_speech: Start) -> None:
    async with start_speech() as service:
        response = await service.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(1.5)))
        metadata = response.metadata
        assert (metadata.selection.model, metadata.selection.engine) == ("fake", "fake")
        assert metadata.selection.fallback_reason == "the test wants a fake"
        assert metadata.replica == "stt-test"
        assert _seconds(metadata.audio_duration) == _seconds(metadata.billed_duration) == 1.5
        stages = (metadata.latency.decode, metadata.latency.queue, metadata.latency.inference)
        assert all(_seconds(stage) > 0 for stage in stages)
        assert _seconds(metadata.latency.total) >= sum(_seconds(stage) for stage in stages)


async def test_silence_has_no_results(start_speech: Start) -> None:
    async with start_speech() as service:
        silence = clips.wav_of(bytes(32_000))
        response = await service.speech.Recognize(speech_pb2.RecognizeRequest(content=silence))
        assert not response.results
        assert _seconds(response.metadata.audio_duration) == 1.0


async def test_raw_samples_need_a_rate_and_are_resampled(start_speech: Start) -> None:
    async with start_speech() as service:
        explicit = Explicit(encoding=Explicit.AUDIO_ENCODING_LINEAR16, sample_rate_hertz=16_000)
        config = Config(explicit_decoding_config=explicit)
        content = clips.noise(1.0)
        response = await service.speech.Recognize(speech_pb2.RecognizeRequest(config=config, content=content))
        assert response.results[0].alternatives[0].transcript == "heard 16000"
        explicit.sample_rate_hertz = 8_000
        config = Config(explicit_decoding_config=explicit)
        response = await service.speech.Recognize(speech_pb2.RecognizeRequest(config=config, content=content))
        assert _seconds(response.metadata.audio_duration) == 2.0


def _explicit(**fields: object) -> Config:
    return Config(explicit_decoding_config=Explicit(**fields))  # type: ignore[arg-type]


REFUSED = [
    ("model", Config(model="other"), "config.model", "MODEL_UNKNOWN", "'other'"),
    ("language", Config(language_code="fr"), "config.language_code", "LANGUAGE_NOT_SUPPORTED", "en, de"),
    ("translation", Config(task=Config.TASK_TRANSLATE), "config.task", "FEATURE_NOT_SUPPORTED", "task"),
    ("task", Config(task=77), "config.task", "TASK_UNKNOWN", "77"),  # type: ignore[arg-type]
    (
        "word confidence",
        Config(features=Features(enable_word_confidence=True)),
        "config.features.enable_word_confidence",
        "FEATURE_NOT_SUPPORTED",
        "ListModels",
    ),
    (
        "hints",
        Config(features=Features(phrase_hints=["Earshot"])),
        "config.features.phrase_hints",
        "FEATURE_NOT_SUPPORTED",
        "ListModels",
    ),
    (
        "redaction of names",
        Config(features=Features(redact=[Features.REDACTION_KIND_NAME])),
        "config.features.redact",
        "REDACTION_NOT_SUPPORTED",
        "it can be one of number, email, card, phone",
    ),
    (
        "unknown redaction",
        Config(features=Features(redact=[99])),  # type: ignore[list-item]
        "config.features.redact",
        "REDACTION_NOT_SUPPORTED",
        "number, email, card, phone",
    ),
    ("no encoding", _explicit(), "config.explicit_decoding_config.encoding", "ENCODING_UNKNOWN", "LINEAR16"),
    (
        "unknown encoding",
        _explicit(encoding=99),
        "config.explicit_decoding_config.encoding",
        "ENCODING_UNKNOWN",
        "99",
    ),
]


@pytest.mark.parametrize(
    ("config", "field", "reason", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_what_the_model_cannot_do_is_refused_by_field(
    start_speech: Start, config: Config, field: str, reason: str, words: str
) -> None:
    async with start_speech() as service:
        request = speech_pb2.RecognizeRequest(config=config, content=clips.wav(0.5))
        error = await _refusal(service.speech.Recognize(request))
        assert type(error) is errors.InvalidArgumentError
        assert (error.field, error.reason) == (field, reason)
        assert words in error.message
        answer = await service.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(0.5)))
        assert answer.results


@pytest.mark.parametrize("content", [b"", b"<html><body>not found</body></html>", clips.wav(1)[:30]])
async def test_bad_audio_is_refused_and_the_next_clip_is_heard(start_speech: Start, content: bytes) -> None:
    async with start_speech() as service:
        error = await _refusal(service.speech.Recognize(speech_pb2.RecognizeRequest(content=content)))
        assert isinstance(error, errors.InvalidArgumentError)
        assert error.field == "content"
        answer = await service.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(0.5)))
        assert answer.results


async def test_a_clip_that_is_too_long_is_out_of_range(start_speech: Start) -> None:
    async with start_speech(max_audio_seconds=2.0) as service:
        error = await _refusal(service.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(2.5))))
        assert isinstance(error, errors.OutOfRangeError)
        assert error.field == "content"


async def test_a_message_over_the_limit_is_out_of_range(start_speech: Start) -> None:
    async with start_speech(max_message_mebibytes=1) as service:
        error = await _refusal(
            service.speech.Recognize(speech_pb2.RecognizeRequest(content=bytes(1_100_000)))
        )
        assert isinstance(error, errors.OutOfRangeError)
        assert (error.field, error.reason) == ("content", "MESSAGE_TOO_LARGE")


async def test_a_full_replica_refuses_and_says_when_to_come_back(start_speech: Start) -> None:
    async with start_speech("slow", queue=1) as service:
        request = speech_pb2.RecognizeRequest(content=clips.wav(0.5))
        calls = [service.speech.Recognize(request) for _ in range(5)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [from_rpc_error(one) for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
        assert len(refused) == 3
        for error in refused:
            assert type(error) is errors.ResourceExhaustedError
            assert error.retry_after > 0
        assert (await service.speech.Recognize(request)).results


async def test_a_client_that_floods_leaves_room_and_turns_for_another(start_speech: Start) -> None:
    async with start_speech("slow", queue=6, clients="flood,light") as service:
        request = speech_pb2.RecognizeRequest(content=clips.wav(0.5))

        def call(client: str) -> Any:
            return service.speech.Recognize(request, metadata=(("x-earshot-client", client),))

        flood = [asyncio.ensure_future(call("flood")) for _ in range(12)]
        while sum(one.done() for one in flood) < 6:  # of seven places it gets six
            await asyncio.sleep(0.01)
        refused = [from_rpc_error(one.exception()) for one in flood if one.done()]
        assert {type(error) for error in refused} == {errors.ResourceExhaustedError}
        assert (await call("light")).results
        assert sum(not one.done() for one in flood) >= 2
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_a_deadline_of_a_millisecond_passes(start_speech: Start) -> None:
    async with start_speech("slow") as service:
        request = speech_pb2.RecognizeRequest(content=clips.wav(0.5))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.speech.Recognize(request, timeout=0.001)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await service.speech.Recognize(request)).results


async def test_the_services_own_time_limit_counts_too(start_speech: Start) -> None:
    async with start_speech("slow", max_request_seconds=0.2) as service:
        request = speech_pb2.RecognizeRequest(content=clips.wav(0.5))
        error = await _refusal(service.speech.Recognize(request))
        assert isinstance(error, errors.DeadlineExceededError)


async def test_a_fault_of_the_engine_is_internal_and_tells_no_content(
    start_speech: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    async with start_speech("crash") as service:
        error = await _refusal(service.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(0.5))))
        assert isinstance(error, errors.InternalError)
        assert "canary" not in error.message
    output = capfd.readouterr()
    assert "RuntimeError: canary" not in output.out + output.err


async def test_the_model_is_listed_with_what_it_can_do(start_speech: Start) -> None:
    async with start_speech(max_audio_seconds=120) as service:
        response = await service.speech.ListModels(speech_pb2.SpeechToTextListModelsRequest())
        (model,) = response.models
        assert (model.name, model.engine, model.is_default) == ("fake", "fake", True)
        assert list(model.language_codes) == ["en", "de"]
        assert list(model.features) == [
            models_pb2.MODEL_FEATURE_WORD_TIME_OFFSETS,
            models_pb2.MODEL_FEATURE_PROFANITY_FILTER,
            models_pb2.MODEL_FEATURE_REDACTION,
        ]
        assert model.sample_rate_hertz == 16_000
        assert model.fallback_reason == "the test wants a fake"
        assert _seconds(model.limits.max_audio_duration) == 120
        assert model.limits.max_message_bytes == 64 * 2**20
