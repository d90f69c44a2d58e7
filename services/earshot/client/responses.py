"""Response messages, as what the clients give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from earshot.client.results import (
    Classification,
    Classifications,
    LabelScore,
    Latency,
    Limits,
    Model,
    Models,
    QuotaState,
    Recognition,
    Segment,
    SpeechClassification,
    Usage,
    UsageRecord,
    Word,
)
from earshot.gen.v1 import audio_pb2, classification_pb2, models_pb2, speech_pb2, usage_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.duration_pb2 import Duration


class Answered(TypedDict):
    """The fields of an Answer."""

    model: str
    engine: str
    fallback_reason: str
    replica: str
    latency: Latency


def recognition(response: speech_pb2.RecognizeResponse) -> Recognition:
    """What was said."""
    return _recognition(response.results, response.metadata)


def classified(
    response: classification_pb2.ClassifyResponse, *, single: bool
) -> Classification | Classifications:
    """The scores of each text, or of the only one."""
    scores = _classifications(response)
    return scores[0] if single else scores


def _classifications(response: classification_pb2.ClassifyResponse) -> Classifications:
    who = answered(response.metadata)
    return Classifications(
        results=tuple(classification(result, who) for result in response.results),
        billed_characters=response.metadata.billed_characters,
        **who,
    )


def speech_classification(response: classification_pb2.ClassifySpeechResponse) -> SpeechClassification:
    """What was said, and its scores."""
    return SpeechClassification(
        text=response.transcript,
        recognition=_recognition(response.results, response.recognition_metadata),
        classification=classification(response.classification, answered(response.classification_metadata)),
    )


def models(
    speech: speech_pb2.SpeechToTextListModelsResponse,
    text: classification_pb2.ZeroShotClassifierListModelsResponse,
) -> Models:
    """The models of both services."""
    return Models(
        speech=tuple(_model(model) for model in speech.models),
        text=tuple(_model(model) for model in text.models),
    )


def usage(response: usage_pb2.GetUsageResponse) -> Usage:
    """What was used, and what is left."""
    return Usage(
        records=tuple(_used(record) for record in response.records),
        total=_used(response.total),
        quotas=tuple(
            QuotaState(state.quota, state.limit, state.used, state.reset_time.ToNanoseconds() / 1e9)
            for state in response.quotas
        ),
        partial=response.partial,
    )


def _used(record: usage_pb2.UsageRecord) -> UsageRecord:
    return UsageRecord(
        client=record.client,
        day=record.day,
        model=record.model,
        calls=record.calls,
        audio_seconds=seconds(record.audio_duration),
        characters=record.characters,
        cost=record.cost.units + record.cost.nanos / 1e9,
        currency=record.cost.currency_code,
    )


def _recognition(
    results: Iterable[audio_pb2.SpeechRecognitionResult], metadata: audio_pb2.RecognitionMetadata
) -> Recognition:
    return Recognition(
        segments=tuple(segment(result) for result in results if result.alternatives),
        audio_duration=seconds(metadata.audio_duration),
        billed_duration=seconds(metadata.billed_duration),
        **answered(metadata),
    )


def segment(result: audio_pb2.SpeechRecognitionResult) -> Segment:
    """A stretch of speech by its likeliest reading; there is one."""
    likeliest = result.alternatives[0]
    return Segment(
        text=likeliest.transcript,
        start=seconds(result.result_start_offset),
        end=seconds(result.result_end_offset),
        confidence=likeliest.confidence if likeliest.HasField("confidence") else None,
        words=tuple(_word(word) for word in likeliest.words),
        language=result.language_code,
    )


def _word(word: audio_pb2.WordInfo) -> Word:
    confidence = word.confidence if word.HasField("confidence") else None
    return Word(word.word, seconds(word.start_offset), seconds(word.end_offset), confidence)


def classification(result: classification_pb2.ClassificationResult, who: Answered) -> Classification:
    """The scores of one text, and who gave them."""
    labels = tuple(LabelScore(label.label, label.score) for label in result.labels)
    return Classification(labels=labels, none_of_these=result.none_of_these, **who)


def answered(
    metadata: audio_pb2.RecognitionMetadata | classification_pb2.ClassificationMetadata,
) -> Answered:
    """Who answered, and where the time went."""
    return Answered(
        model=metadata.selection.model,
        engine=metadata.selection.engine,
        fallback_reason=metadata.selection.fallback_reason,
        replica=metadata.replica,
        latency=_latency(metadata.latency),
    )


def _latency(breakdown: audio_pb2.LatencyBreakdown) -> Latency:
    return Latency(**{stage.name: seconds(time) for stage, time in breakdown.ListFields()})


def _model(model: models_pb2.Model) -> Model:
    return Model(
        name=model.name,
        engine=model.engine,
        is_default=model.is_default,
        languages=tuple(model.language_codes),
        features=_features(model.features),
        sample_rate=model.sample_rate_hertz,
        checksum=model.checksum,
        version=model.version,
        fallback_reason=model.fallback_reason,
        limits=_limits(model.limits),
    )


def _features(features: Sequence[int]) -> tuple[str, ...]:
    # A newer service may have features without a name here.
    known = models_pb2.ModelFeature.DESCRIPTOR.values_by_number
    names = (known[feature].name for feature in features if feature in known)
    return tuple(name.removeprefix("MODEL_FEATURE_").lower() for name in names)


def _limits(limits: models_pb2.RequestLimits) -> Limits:
    return Limits(
        max_audio_duration=seconds(limits.max_audio_duration),
        max_message_bytes=limits.max_message_bytes,
        max_texts=limits.max_texts,
        max_text_characters=limits.max_text_characters,
        max_labels=limits.max_labels,
        max_label_characters=limits.max_label_characters,
        max_scores=limits.max_scores,
        max_answer_bytes=limits.max_answer_bytes,
    )


def seconds(duration: Duration) -> float:
    """The duration in seconds."""
    return duration.ToNanoseconds() / 1e9
