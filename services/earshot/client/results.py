"""What the clients give back. Offsets and durations are in seconds, scores and confidences 0 to 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the time went inside the service, in seconds; None for a stage that did not happen.

    Stages may overlap, so that their sum can differ from the total.
    """

    decode: float | None = None  # from bytes to samples
    queue: float | None = None  # waiting for a free worker
    inference: float | None = None  # the model at work
    upstream: float | None = None  # waiting for the other service
    total: float | None = None  # from the request's arrival to the answer's departure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who answered, and where the time went."""

    model: str = ""
    engine: str = ""
    fallback_reason: str = ""  # why it is not the engine that was preferred; empty where it is
    replica: str = ""
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Word:
    """One word."""

    text: str
    start: float
    end: float
    confidence: float | None = None  # None unless asked for


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech."""

    text: str
    start: float
    end: float
    confidence: float | None = None  # None where the model gives none
    words: tuple[Word, ...] = ()  # empty unless asked for
    language: str = ""  # BCP-47


class Spoken:
    """What can be said of anything that has segments."""

    __slots__ = ()
    segments: Sequence[Segment]

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(segment.text.strip() for segment in self.segments if segment.text.strip())

    @property
    def words(self) -> tuple[Word, ...]:
        """All words with their offsets; empty unless asked for."""
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def language(self) -> str:
        """The language heard first; empty where nothing was said."""
        return next((segment.language for segment in self.segments), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition(Answer, Spoken):
    """What was said in a clip. No segments: no speech was heard."""

    segments: tuple[Segment, ...] = ()
    audio_duration: float = 0.0  # of the clip, once decoded
    billed_duration: float = 0.0


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label and its score."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification(Answer):
    """The scores of one text, the highest first."""

    labels: tuple[LabelScore, ...] = ()
    none_of_these: bool = False  # no label reached the threshold, or nothing was said

    @property
    def best(self) -> LabelScore | None:
        """The label of the highest score; None where none of them fits."""
        return None if self.none_of_these or not self.labels else self.labels[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifications(Answer, Sequence[Classification]):
    """The scores of several texts, in the texts' order."""

    results: tuple[Classification, ...] = ()
    billed_characters: int = 0

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Classification]:
        return iter(self.results)

    @overload
    def __getitem__(self, index: int) -> Classification: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Classification, ...]: ...
    def __getitem__(self, index: int | slice) -> Classification | tuple[Classification, ...]:
        return self.results[index]


@dataclass(frozen=True, slots=True)
class SpeechClassification:
    """What was said in a clip, and the scores of it."""

    text: str  # as it was scored
    recognition: Recognition
    classification: Classification

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Stretches of speech, in order."""
        return self.recognition.segments

    @property
    def words(self) -> tuple[Word, ...]:
        """All words with their offsets; empty unless asked for."""
        return self.recognition.words

    @property
    def labels(self) -> tuple[LabelScore, ...]:
        """The scores, the highest first."""
        return self.classification.labels

    @property
    def best(self) -> LabelScore | None:
        """The label of the highest score; None where none of them fits."""
        return self.classification.best


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold; 0 where a limit does not apply."""

    max_audio_duration: float = 0.0
    max_message_bytes: int = 0
    max_texts: int = 0
    max_text_characters: int = 0
    max_labels: int = 0
    max_label_characters: int = 0
    max_scores: int = 0
    max_answer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is served, and what it can do."""

    name: str
    engine: str
    is_default: bool
    languages: tuple[str, ...]  # BCP-47
    features: tuple[str, ...]  # as "word_time_offsets" or "multi_label"
    sample_rate: int  # hertz; 0 for models of text
    checksum: str
    version: str
    fallback_reason: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What a client has used of a model on a day."""

    client: str
    day: str  # as 2026-11-25, UTC
    model: str
    calls: int  # and streams
    audio_seconds: float
    characters: int
    cost: float
    currency: str  # of the cost, by ISO 4217


@dataclass(frozen=True, slots=True)
class QuotaState:
    """A quota, and what has been used of it."""

    quota: str  # as audio_seconds_per_day
    limit: float
    used: float
    resets_at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used on some days, by client, day and model; ``total`` is their sum."""

    records: tuple[UsageRecord, ...]
    total: UsageRecord
    quotas: tuple[QuotaState, ...] = ()
    partial: bool = False  # only what one replica has counted by itself


@dataclass(frozen=True, slots=True)
class Models:
    """All models served; in each, the default first."""

    speech: tuple[Model, ...]
    text: tuple[Model, ...]
