"""What a speech-to-text engine takes and gives. Knows no gRPC and no engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # the front process handles samples without looking at them
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # hertz; every engine hears 16-bit mono samples at this rate

Samples: TypeAlias = "NDArray[np.int16]"


class Feature(StrEnum):
    """What an engine may be able to do beside writing down words."""

    WORD_TIME_OFFSETS = "word_time_offsets"
    WORD_CONFIDENCE = "word_confidence"
    LANGUAGE_DETECTION = "language_detection"
    TRANSLATION = "translation"
    PHRASE_HINTS = "phrase_hints"


class Redaction(StrEnum):
    """Kinds of personal data that can be taken out of a transcript."""

    NUMBER = "number"
    EMAIL = "email"
    CARD = "card"
    PHONE = "phone"
    NAME = "name"  # where there is a model that finds them


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What an engine says of itself once it is loaded."""

    name: str
    engine: str
    languages: tuple[str, ...]  # BCP-47 codes, the default first
    features: tuple[Feature, ...]
    version: str = ""  # of the weights, or of the package that carries them
    checksum: str = ""  # "sha256:<hex>" of the weights' file; empty where a package carries them


@dataclass(frozen=True, slots=True)
class RecognitionOptions:
    """What is wanted of one clip. Checked against the model's ``ModelInfo`` before it gets here."""

    language: str = ""  # one of ModelInfo.languages; empty: detect, or the only one
    translate: bool = False
    word_offsets: bool = False
    word_confidence: bool = False
    phrase_hints: tuple[str, ...] = ()
    redact: tuple[Redaction, ...] = ()
    profanity_filter: bool = False
    goes_on: bool = False  # the clip is a stretch of a stream: before and after it there may be more


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator wants done to every transcript, whatever the request says."""

    redact: frozenset[Redaction] = frozenset()
    profanity_filter: bool = False
    names: bool = False  # there is a model that finds names, for requests too


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Word:
    """One word; offsets in seconds from the start of the clip."""

    text: str
    start: float
    end: float
    confidence: float | None = None  # 0 to 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech; offsets in seconds from the start of the clip."""

    text: str
    start: float
    end: float
    confidence: float | None = None  # 0 to 1
    words: tuple[Word, ...] = ()  # empty unless asked for


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was heard in a clip. No segments: no speech."""

    segments: tuple[Segment, ...] = ()
    language: str = ""  # BCP-47 code of the language heard
    skipped_seconds: float = 0.0  # silence that the engine was not given

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def speech_seconds(self) -> float:
        return sum(segment.end - segment.start for segment in self.segments)


class Engine(Protocol):
    """Lives in a worker process, is called by one thread, keeps nothing from call to call."""

    @property
    def info(self) -> ModelInfo: ...

    def transcribe(
        self, samples: Samples, options: RecognitionOptions, cancelled: Callable[[], bool]
    ) -> Transcript:
        """Writes down one clip of any length: s16 mono at ``SAMPLE_RATE``.

        ``cancelled`` is cheap; where it says True between windows the engine stops and raises
        :class:`earshot.errors.CancelledError`.
        """
        ...


class Loader(Protocol):
    """Makes an engine from options that can cross to a worker process."""

    def __call__(self, model: str, options: dict[str, str]) -> Engine: ...


def joined(parts: Sequence[str]) -> str:
    """Words to a transcript: one space between, none around."""
    return " ".join(part for part in (part.strip() for part in parts) if part)
