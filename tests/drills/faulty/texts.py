"""The embedded classifier, but that texts that begin with certain words crash it, or worse."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earshot.classification.engines import embedding
from earshot.classification.types import ClassificationRequest, Engine, ModelInfo
from tests.drills.faulty.faults import WORDS, suffer


class FaultyClassifier:
    """Scores as the engine in it does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> ModelInfo:
        """Its own."""
        return self._engine.info

    def classify(
        self, requests: Sequence[ClassificationRequest], cancelled: Callable[[], bool]
    ) -> list[tuple[float, ...]]:
        """As the engine in it, unless a text is one of those."""
        for request in requests:
            suffer(WORDS.get(request.text.partition(" ")[0], 0))
        return self._engine.classify(requests, cancelled)


def load(model: str, options: dict[str, str]) -> FaultyClassifier:
    """As the embedded classifier's own loader."""
    return FaultyClassifier(embedding.load(model, options))
