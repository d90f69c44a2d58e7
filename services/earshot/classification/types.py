"""What a zero-shot engine takes and gives. Knows no gRPC and no engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Feature(StrEnum):
    """What an engine may be able to do beside scoring labels."""

    MULTI_LABEL = "multi_label"
    HYPOTHESIS_TEMPLATE = "hypothesis_template"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an engine says of itself once it is loaded."""

    name: str
    engine: str
    languages: tuple[str, ...]  # BCP-47 codes
    features: tuple[Feature, ...]
    version: str = ""  # of the weights, or of the package that carries them
    checksum: str = ""  # "sha256:<hex>" of the weights' file; empty where a package carries them
    runtime: str = ""  # what computes, and how exactly, for people


@dataclass(frozen=True, slots=True)
class ClassificationOptions:
    """What texts are scored against. Labels are distinct, trimmed and not empty."""

    labels: tuple[str, ...]
    descriptions: tuple[str, ...] = ()  # in place of each label's own words; as many as labels, or none
    template: str = ""  # holds "{}" once; empty: the engine's own
    multi_label: bool = False

    @property
    def wordings(self) -> tuple[str, ...]:
        """What stands for each label before the template is applied."""
        return self.descriptions or self.labels


@dataclass(frozen=True, slots=True)
class ClassificationRequest:
    """One text, with what it is scored against."""

    text: str
    options: ClassificationOptions


class Engine(Protocol):
    """Lives in a worker process, is called by one thread."""

    @property
    def info(self) -> ModelInfo: ...

    def classify(
        self, requests: Sequence[ClassificationRequest], cancelled: Callable[[], bool]
    ) -> list[tuple[float, ...]]:
        """For each request, one score in 0..1 for each label, in the labels' order.

        They sum to 1 unless ``multi_label``. ``cancelled`` is cheap; where it says True between
        batches the engine stops and raises :class:`earshot.errors.CancelledError`.
        """
        ...


class Loader(Protocol):
    """Makes an engine from options that can cross to a worker process."""

    def __call__(self, model: str, options: dict[str, str]) -> Engine: ...
