"""faster-whisper, but that clips of one value throughout crash it, lock it up, or make it leak."""

from __future__ import annotations

from collections.abc import Callable

from earshot.stt.engines import faster_whisper
from earshot.stt.types import Engine, ModelInfo, RecognitionOptions, Samples, Transcript
from tests.drills.faulty.faults import suffer, value_of


class FaultyEngine:
    """Hears as the engine in it does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> ModelInfo:
        """Its own."""
        return self._engine.info

    def transcribe(
        self, samples: Samples, options: RecognitionOptions, cancelled: Callable[[], bool]
    ) -> Transcript:
        """As the engine in it, unless the clip is one of those."""
        suffer(value_of(samples))
        return self._engine.transcribe(samples, options, cancelled)


def load(model: str, options: dict[str, str]) -> FaultyEngine:
    """As faster-whisper's own loader."""
    return FaultyEngine(faster_whisper.load(model, options))
