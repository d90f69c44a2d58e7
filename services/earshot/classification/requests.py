"""Requests as the core takes them; what the model cannot do is refused, with the field's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earshot import errors
from earshot.classification import labels, ranking
from earshot.classification.types import ClassificationRequest, Feature, ModelInfo
from earshot.gen.v1 import classification_pb2

_Config = classification_pb2.ClassificationConfig


@dataclass(frozen=True, slots=True)
class Question:
    """Labels to score a text against, and how much of the answer is wanted."""

    labels: labels.LabelSet
    cut: ranking.Cut

    def about(self, text: str) -> ClassificationRequest:
        """The question, put to one text."""
        return ClassificationRequest(text, self.labels.options)

    def answer(self, scores: Sequence[float]) -> ranking.Ranking:
        """The scores of one text as the caller wants them."""
        return ranking.rank(self.labels.given, scores, self.cut)


def classify_questions(
    request: classification_pb2.ClassifyRequest, model: ModelInfo, limits: labels.LabelLimits
) -> list[Question]:
    """One question for each of the request's inputs. Raises ``InvalidArgumentError``."""
    _check_model(request.config, model, "config")
    cut = labels.cut_of(_unchecked(request.config), "config")
    labels.check_texts([text.text for text in request.inputs], limits)
    own = [text.candidate_labels for text in request.inputs]
    return [Question(one, cut) for one in labels.label_sets(own, _unchecked(request.config), limits)]


def speech_question(
    config: _Config, model: ModelInfo, limits: labels.LabelLimits, field: str = "classification_config"
) -> Question:
    """The question of a request about speech; ``field`` is the path. Raises ``InvalidArgumentError``."""
    _check_model(config, model, field)
    cut = labels.cut_of(_unchecked(config), field)
    return Question(labels.label_set(_unchecked(config), limits, field), cut)


def _unchecked(config: _Config) -> labels.LabelConfig:
    return labels.LabelConfig(
        candidate_labels=config.candidate_labels,
        label_descriptions=config.label_descriptions,
        hypothesis_template=config.hypothesis_template,
        multi_label=config.multi_label,
        top_k=config.top_k if config.HasField("top_k") else None,
        threshold=config.threshold if config.HasField("threshold") else None,
    )


def _check_model(config: _Config, model: ModelInfo, field: str) -> None:
    if config.model not in ("", model.name):
        raise errors.InvalidArgumentError(
            f"no model {config.model[:100]!r} is served here; leave it empty or take {model.name!r}",
            reason="MODEL_UNKNOWN",
            field=f"{field}.model",
        )
    wanted = (
        (config.multi_label, Feature.MULTI_LABEL, "multi_label"),
        (config.hypothesis_template, Feature.HYPOTHESIS_TEMPLATE, "hypothesis_template"),
    )
    for asked, feature, name in wanted:
        if asked and feature not in model.features:
            raise errors.InvalidArgumentError(
                f"model {model.name!r} ({model.engine}) cannot do {name}; leave it unset (see ListModels)",
                reason="FEATURE_NOT_SUPPORTED",
                field=f"{field}.{name}",
            )
