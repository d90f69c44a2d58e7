"""What a stream gives, piece by piece and at its end. Offsets are in seconds from the audio's start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from earshot.client.results import Answer, Classification, Segment, Spoken

if TYPE_CHECKING:
    from earshot.errors import EarshotError


@dataclass(frozen=True, slots=True)
class Interim:
    """What may have been said since the last final; replaces the interim before it."""

    stable: str  # will hardly change
    unstable: str  # may change
    start: float
    end: float

    @property
    def text(self) -> str:
        """Both parts."""
        return " ".join(part for part in (self.stable, self.unstable) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Final(Answer):
    """A stretch of speech that is final: it comes once, in order, and ends the interim before it."""

    segment: Segment

    @property
    def text(self) -> str:
        """The words."""
        return self.segment.text.strip()


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech started; given when asked for."""

    offset: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech ended; given when asked for."""

    offset: float


@dataclass(frozen=True, slots=True)
class Labels:
    """Scores, when labels were given; those of an interim may change."""

    segment: Classification | None  # of the last stretch heard
    conversation: Classification | None  # of all that was said so far
    is_final: bool  # the last stretch is final


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection broke; a new one is tried after ``pause`` seconds. Nothing is lost."""

    attempt: int  # 1 for the first since the stream last came on
    cause: EarshotError
    pause: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The stream goes on; audio before ``offset`` is final and was not sent again."""

    offset: float


Event: TypeAlias = Interim | Final | SpeechStarted | SpeechEnded | Labels | Reconnecting | Resumed


@dataclass(frozen=True, slots=True)
class Summary:
    """The service's account of the whole stream, over all its connections."""

    audio_received: float  # seconds
    audio_transcribed: float  # seconds of speech, without silence
    finals: int
    complete: bool  # all that was received has been answered


@dataclass(slots=True)
class StreamResult(Spoken):
    """All that has become final so far; whole once ``summary`` is there."""

    segments: list[Segment] = field(default_factory=list)
    conversation: Classification | None = None  # the last scores of all that was said
    summary: Summary | None = None  # None until the stream has ended
