"""What a request asks of its labels, checked before anything is queued: labels are cheap, texts are not.

Runs in the front process: plain Python, no engine library. Every refusal is an
:class:`earshot.errors.InvalidArgumentError` that names the field and, where there are several, which
one; never the words themselves.
"""

from __future__ import annotations

import heapq
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from earshot.classification.ranking import Cut
from earshot.classification.types import ClassificationOptions
from earshot.errors import InvalidArgumentError

# At most: a score, and what says how long it and its label are; and what a ranking has beside those.
_SCORE_BYTES: Final = 15
_RANKING_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class LabelLimits:
    """How much one request may ask."""

    max_labels: int = 1_000  # for one text
    max_label_characters: int = 1_000  # of a label, a description, a template
    max_texts: int = 1_000
    max_text_characters: int = 100_000  # of one text
    max_scores: int = 100_000  # texts times labels
    # Of all scores with their labels: what Envoy takes off the service for a caller who does not read.
    max_answer_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """A request's ``ClassificationConfig`` as it came, unchecked."""

    candidate_labels: Sequence[str] = ()
    label_descriptions: Mapping[str, str] = field(default_factory=dict)
    hypothesis_template: str = ""
    multi_label: bool = False
    top_k: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels that passed: as the request has them, for the answer, and as the engine takes them."""

    given: tuple[str, ...]
    options: ClassificationOptions
    answer_bytes: int  # of one text's ranking, at most


def label_set(config: LabelConfig, limits: LabelLimits, field: str = "classification_config") -> LabelSet:
    """The labels of a request that has one set of them; ``field`` is the config's path."""
    path = f"{field}.candidate_labels"
    found = _Checker(config, limits, field).label_set(config.candidate_labels, path)
    _check_answer([found], limits, path)
    return found


def label_sets(
    own_labels: Sequence[Sequence[str]], config: LabelConfig, limits: LabelLimits, field: str = "config"
) -> list[LabelSet]:
    """The labels of each input: its own (``inputs[i].candidate_labels``), or else the config's."""
    checker = _Checker(config, limits, field, own_labels)
    shared = None
    if config.candidate_labels or not all(own_labels):
        shared = checker.label_set(config.candidate_labels, f"{field}.candidate_labels")
    sets = [
        checker.label_set(own, f"inputs[{index}].candidate_labels") if own else shared
        for index, own in enumerate(own_labels)
    ]
    found = [chosen for chosen in sets if chosen is not None]
    _check_scores(found, limits)
    _check_answer(found, limits, "inputs")
    return found


def cut_of(config: LabelConfig, field: str = "config") -> Cut:
    """How much of the ranking is wanted; ``field`` is the config's path."""
    top_k, threshold = config.top_k, config.threshold
    if top_k is not None and top_k < 1:
        raise InvalidArgumentError(
            f"top_k is {top_k}: at least 1, or leave it unset for all labels",
            reason="TOP_K_OUT_OF_RANGE",
            field=f"{field}.top_k",
        )
    # A comparison with NaN is false, so NaN is refused too.
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidArgumentError(
            f"the threshold is {_number(threshold)}: scores run from 0 to 1",
            reason="THRESHOLD_OUT_OF_RANGE",
            field=f"{field}.threshold",
        )
    return Cut(top_k, threshold)


def check_texts(texts: Sequence[str], limits: LabelLimits, field: str = "inputs") -> None:
    """Refuses no texts, too many, empty ones and too long ones; ``field`` is the list's path."""
    if not texts:
        raise InvalidArgumentError("no texts: give at least one", reason="TEXTS_REQUIRED", field=field)
    if len(texts) > limits.max_texts:
        raise InvalidArgumentError(
            f"{len(texts)} texts are more than the {limits.max_texts} of one request: send several requests",
            reason="TOO_MANY_TEXTS",
            field=field,
        )
    for index, text in enumerate(texts):
        _check_text(text, limits.max_text_characters, f"{field}[{index}].text")


def _check_text(text: str, most: int, path: str) -> None:
    if not text.strip():
        raise InvalidArgumentError(
            "the text is empty: give at least one word", reason="TEXT_EMPTY", field=path
        )
    if len(text) > most:
        raise InvalidArgumentError(
            f"the text has {len(text)} characters, more than {most}: send it in parts",
            reason="TEXT_TOO_LONG",
            field=path,
        )


def _check_scores(sets: Sequence[LabelSet], limits: LabelLimits) -> None:
    scores = sum(len(chosen.given) for chosen in sets)
    if scores > limits.max_scores:
        raise InvalidArgumentError(
            f"{scores} scores (texts times labels) are more than the {limits.max_scores} of one request:"
            " send several requests",
            reason="TOO_MANY_SCORES",
            field="inputs",
        )


def _check_answer(sets: Sequence[LabelSet], limits: LabelLimits, path: str) -> None:
    size = sum(chosen.answer_bytes for chosen in sets)
    if size > limits.max_answer_bytes:
        raise InvalidArgumentError(
            f"the answer, which repeats the labels for each text, could have {size} bytes, more than"
            f" {limits.max_answer_bytes}: ask for less with top_k, shorten labels, or send several requests",
            reason="ANSWER_TOO_LONG",
            field=path,
        )


def _answer_bytes(labels: Sequence[str], top_k: int | None) -> int:
    """Of the longest labels, encoded, of which there will be so many."""
    sizes = [len(label.encode()) + _SCORE_BYTES for label in labels]
    return _RANKING_BYTES + sum(sizes if top_k is None else heapq.nlargest(top_k, sizes))


class _Checker:
    """What all label sets of one request have in common, checked once."""

    def __init__(
        self,
        config: LabelConfig,
        limits: LabelLimits,
        field: str,
        own_labels: Sequence[Sequence[str]] = (),
    ) -> None:
        self._limits = limits
        self._multi_label, self._top_k = config.multi_label, config.top_k
        self._template = _template(config.hypothesis_template, limits, f"{field}.hypothesis_template")
        self._descriptions = self._described(config.label_descriptions, f"{field}.label_descriptions")
        if self._descriptions:
            used = {_key(label) for labels in (config.candidate_labels, *own_labels) for label in labels}
            self._refuse_strays(used, f"{field}.label_descriptions")

    def label_set(self, labels: Sequence[str], path: str) -> LabelSet:
        """``labels`` as they go on; ``path`` is the field that they came in."""
        self._check_count(len(labels), path)
        trimmed = tuple(label.strip() for label in labels)
        keys = [_key(label) for label in trimmed]
        self._check_each(trimmed, keys, path)
        options = ClassificationOptions(
            labels=trimmed,
            descriptions=self._wordings(trimmed, keys),
            template=self._template,
            multi_label=self._multi_label,
        )
        return LabelSet(tuple(labels), options, _answer_bytes(labels, self._top_k))

    def _check_count(self, count: int, path: str) -> None:
        if count == 0:
            raise InvalidArgumentError(
                "no labels: give at least two, or one with multi_label", reason="LABELS_REQUIRED", field=path
            )
        if count == 1 and not self._multi_label:
            raise InvalidArgumentError(
                "one label alone always scores 1: give another, or set multi_label for a score of its own",
                reason="ONE_LABEL",
                field=path,
            )
        if count > self._limits.max_labels:
            raise InvalidArgumentError(
                f"{count} labels are more than the {self._limits.max_labels} of one text: group them,"
                " and ask again within the best group",
                reason="TOO_MANY_LABELS",
                field=path,
            )

    def _check_each(self, labels: Sequence[str], keys: Sequence[str], path: str) -> None:
        first: dict[str, int] = {}
        for index, (label, key) in enumerate(zip(labels, keys, strict=True)):
            _check_words(label, "label", self._limits.max_label_characters, f"{path}[{index}]")
            if first.setdefault(key, index) != index:
                raise InvalidArgumentError(
                    f"label {index} is label {first[key]} again, but for case and spaces: leave one out",
                    reason="LABEL_DOUBLED",
                    field=f"{path}[{index}]",
                )

    def _described(self, descriptions: Mapping[str, str], path: str) -> dict[str, str]:
        described: dict[str, str] = {}
        for label, description in descriptions.items():
            _check_words(
                description.strip(), "description of a label", self._limits.max_label_characters, path
            )
            if described.setdefault(_key(label), description.strip()) != description.strip():
                raise InvalidArgumentError(
                    "a label has two descriptions, under keys that differ in case or spaces: leave one out",
                    reason="DESCRIPTION_DOUBLED",
                    field=path,
                )
        return described

    def _refuse_strays(self, used: set[str], path: str) -> None:
        strays = len(self._descriptions.keys() - used)
        if strays:
            raise InvalidArgumentError(
                f"{strays} of {len(self._descriptions)} descriptions are for no candidate label: the keys"
                " of label_descriptions are the labels themselves",
                reason="DESCRIPTION_WITHOUT_LABEL",
                field=path,
            )

    def _wordings(self, labels: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
        if not any(key in self._descriptions for key in keys):
            return ()
        return tuple(self._descriptions.get(key, label) for key, label in zip(keys, labels, strict=True))


def _check_words(words: str, what: str, most: int, path: str) -> None:
    if not words:
        raise InvalidArgumentError(
            f"the {what} is blank: give it words, or leave it out", reason="BLANK", field=path
        )
    if len(words) > most:
        raise InvalidArgumentError(
            f"the {what} has {len(words)} characters, more than {most}: shorten it",
            reason="TOO_LONG",
            field=path,
        )


def _template(template: str, limits: LabelLimits, path: str) -> str:
    if not template:
        return ""
    if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
        raise InvalidArgumentError(
            'the template must hold "{}" once, where the label goes, and no other braces:'
            ' for example "This text is about {}."',
            reason="TEMPLATE_PLACEHOLDER",
            field=path,
        )
    _check_words(template.strip(), "template", limits.max_label_characters, path)
    return template


def _key(label: str) -> str:
    """What two spellings of one label have in common: canonical caseless matching (Unicode D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", label.strip()).casefold())


def _number(value: float) -> str:
    return "not a number" if math.isnan(value) else f"{value:g}"
