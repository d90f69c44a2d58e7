"""What becomes known of a call while it is answered; its figures and its log line are made of it."""

from __future__ import annotations

import contextvars
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import grpc

from earshot.runtime.labels import NO_AUDIO, NOBODY, OTHER, Line

if TYPE_CHECKING:
    from earshot.runtime.tracing import Trace

LONGEST: Final = 128  # characters of what callers may have us repeat
_MOST_INTERVALS: Final = 1000  # spans of one call: a stream may last for hours


class Stage(StrEnum):
    """Where a call's time goes. Between them lies what costs next to nothing."""

    RECEIVE = "receive"  # the request, from the first headers to the decoded message
    DECODE = "decode"  # audio to samples
    QUEUE = "queue"  # waiting for a worker, of either kind, and the way there and back
    INFERENCE = "inference"  # samples to words
    UPSTREAM = "upstream"  # waiting for the other service
    CLASSIFY = "classify"  # texts to scores
    SEND = "send"  # the response, until the transport has it


@dataclass(slots=True)
class Call:
    """One call. Whoever learns something writes it down here; nobody reads it before the end."""

    method: str = ""
    request_id: str = ""
    client: str = OTHER  # as a label; see earshot.runtime.labels
    line: Line = NOBODY  # whose turn it waits for
    claimed_client: str = ""  # as the caller wrote it, for the services that we call for it
    wants_gzip: bool = False  # the answer, which is of texts
    attempt: int = 1  # of the edge, the same call on another replica before
    began: float = field(default_factory=time.monotonic)
    responded: float | None = None  # when the first byte of an answer was ready, by time.monotonic
    answered: float | None = None  # when the response was ready to be sent, by time.monotonic
    seconds: float = 0.0  # that it took, once it has ended
    ended_at: float = 0.0  # seconds since the epoch
    codec: str = NO_AUDIO  # one of earshot.rpc.codecs.CODECS
    received_bytes: int = 0
    sent_bytes: int = 0
    audio_seconds: float = 0.0
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    reason: str = ""  # of an error, as earshot.errors has them
    stages: dict[Stage, float] = field(default_factory=dict)  # seconds
    trace: Trace | None = None  # None: traces are off
    intervals: list[tuple[Stage, float, float]] = field(default_factory=list)  # by time.monotonic; if traced

    def spend(self, stage: Stage, seconds: float, before: float = 0.0) -> None:
        """So much time went into ``stage``, beside what already has, up to ``before`` seconds ago."""
        self.stages[stage] = self.stages.get(stage, 0.0) + seconds
        if self.trace and self.trace.sampled and len(self.intervals) < _MOST_INTERVALS:
            end = time.monotonic() - before
            self.intervals.append((stage, end - seconds, end))

    @property
    def trace_id(self) -> str:
        """The trace's id; empty where traces are off."""
        return self.trace.id if self.trace else ""


_CURRENT: Final[contextvars.ContextVar[Call]] = contextvars.ContextVar("call")


def begin(call: Call) -> None:
    """``call`` is what this task answers from now on."""
    _CURRENT.set(call)


def current() -> Call:
    """The call that this task answers; outside of one, a call that nobody reads."""
    return _CURRENT.get(None) or Call()
