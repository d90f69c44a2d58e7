"""faster-whisper, but that clips of one value throughout crash it, lock it up, or make it leak."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Final

from earshot.stt.engines import faster_whisper
from earshot.stt.types import Engine, ModelInfo, RecognitionOptions, Samples, Transcript

CRASH: Final = 1111  # in native code
LOCK: Final = 2222  # for ever
LEAK: Final = 3333
LEAKED: Final = 128 * 2**20  # bytes, each time

_kept: Final[list[bytearray]] = []


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
        value = int(samples[0]) if len(samples) and (samples == samples[0]).all() else 0
        if value == CRASH:
            ctypes.string_at(0)
        if value == LOCK:
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        if value == LEAK:
            _kept.append(bytearray(LEAKED))
        return self._engine.transcribe(samples, options, cancelled)


def load(model: str, options: dict[str, str]) -> FaultyEngine:
    """As faster-whisper's own loader."""
    return FaultyEngine(faster_whisper.load(model, options))
