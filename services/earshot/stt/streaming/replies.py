"""What a session says to its caller, before it becomes messages."""

from __future__ import annotations

from dataclasses import dataclass

from earshot.stt.streaming.position import Position
from earshot.stt.streaming.wire import Event, Span
from earshot.stt.types import Segment


@dataclass(frozen=True, slots=True)
class Final:
    """A stretch that has been heard. Times in seconds."""

    segment: Segment
    language: str
    audio: float  # length of what the engine has heard
    queue: float
    inference: float
    total: float  # from the end of the stretch


@dataclass(frozen=True, slots=True)
class Interim:
    """A stretch that goes on: words that will stay, and words that may change."""

    span: Span
    stable: str
    unstable: str
    language: str


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What has come, and where to go on; no position: the last one holds."""

    acked: int
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How it ended. Samples at 16 kHz."""

    received: int
    transcribed: int
    finals: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One message."""

    final: Final | None = None
    interim: Interim | None = None
    events: tuple[Event, ...] = ()
    acknowledgement: Acknowledgement | None = None
    time_left: float | None = None  # seconds until the stream is closed
    summary: Summary | None = None
