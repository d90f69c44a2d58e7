"""What the core has scored, as messages."""

from __future__ import annotations

from collections.abc import Iterable

from earshot.classification.labels import LabelLimits
from earshot.classification.ranking import Ranking
from earshot.classification.types import ModelInfo
from earshot.gen.v1 import audio_pb2, classification_pb2, models_pb2


def result(ranking: Ranking) -> classification_pb2.ClassificationResult:
    """One text's answer."""
    scores = [classification_pb2.LabelScore(label=one.label, score=one.score) for one in ranking.labels]
    return classification_pb2.ClassificationResult(labels=scores, none_of_these=ranking.none_of_these)


def model(
    info: ModelInfo, fallback_reason: str, limits: LabelLimits, max_message_bytes: int
) -> models_pb2.Model:
    """``info`` as ListModels gives it."""
    return models_pb2.Model(
        name=info.name,
        engine=info.engine,
        is_default=True,
        language_codes=info.languages,
        features=[
            models_pb2.ModelFeature.Value(f"MODEL_FEATURE_{feature.name}") for feature in info.features
        ],
        checksum=info.checksum,
        version=info.version,
        fallback_reason=fallback_reason,
        limits=models_pb2.RequestLimits(
            max_message_bytes=max_message_bytes,
            max_texts=limits.max_texts,
            max_text_characters=limits.max_text_characters,
            max_labels=limits.max_labels,
            max_label_characters=limits.max_label_characters,
            max_scores=limits.max_scores,
            max_answer_bytes=limits.max_answer_bytes,
        ),
    )


def said(results: Iterable[audio_pb2.SpeechRecognitionResult]) -> str:
    """All that was said, in one piece."""
    parts = [one.alternatives[0].transcript.strip() for one in results if one.alternatives]
    return " ".join(part for part in parts if part)
