"""What the core has heard, as messages."""

from __future__ import annotations

from typing import Final

from earshot.gen.v1 import audio_pb2, models_pb2
from earshot.rpc.wire import duration
from earshot.stt.transcriber import Recognition
from earshot.stt.types import SAMPLE_RATE, ModelInfo, Segment, Word

# What is done to the transcripts of every model.
_OF_ALL: Final = (models_pb2.MODEL_FEATURE_PROFANITY_FILTER, models_pb2.MODEL_FEATURE_REDACTION)


def results(recognition: Recognition) -> list[audio_pb2.SpeechRecognitionResult]:
    """One result for each stretch of speech."""
    language = recognition.transcript.language
    return [result(segment, language) for segment in recognition.transcript.segments]


def result(segment: Segment, language: str) -> audio_pb2.SpeechRecognitionResult:
    """A final one."""
    alternative = audio_pb2.SpeechRecognitionAlternative(
        transcript=segment.text, confidence=segment.confidence, words=[_word(word) for word in segment.words]
    )
    return audio_pb2.SpeechRecognitionResult(
        alternatives=[alternative],
        is_final=True,
        result_start_offset=duration(segment.start),
        result_end_offset=duration(segment.end),
        language_code=language,
    )


def _word(word: Word) -> audio_pb2.WordInfo:
    return audio_pb2.WordInfo(
        word=word.text,
        start_offset=duration(word.start),
        end_offset=duration(word.end),
        confidence=word.confidence,
    )


def latency(recognition: Recognition, total: float) -> audio_pb2.LatencyBreakdown:
    """Where the time went."""
    timings = recognition.timings
    return audio_pb2.LatencyBreakdown(
        decode=duration(timings.decode),
        queue=duration(timings.queue),
        inference=duration(timings.inference),
        total=duration(total),
    )


def model(info: ModelInfo, fallback_reason: str, limits: models_pb2.RequestLimits) -> models_pb2.Model:
    """``info`` as ListModels gives it."""
    return models_pb2.Model(
        name=info.name,
        engine=info.engine,
        is_default=True,
        language_codes=info.languages,
        features=[
            *(models_pb2.ModelFeature.Value(f"MODEL_FEATURE_{feature.name}") for feature in info.features),
            *_OF_ALL,
        ],
        sample_rate_hertz=SAMPLE_RATE,
        checksum=info.checksum,
        version=info.version,
        fallback_reason=fallback_reason,
        limits=limits,
    )
