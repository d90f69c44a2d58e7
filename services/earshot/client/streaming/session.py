"""One stream over all its connections: what to send next, what was heard, when to try again.

Pure: it is fed audio, messages, errors and the time, and does no I/O. The rules are those of the
protocol (docs/streaming.md): finals come in the same message as the token that covers them, so that
who has the token has the finals; what the token does not cover is sent again after a break.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.client.retry import least_pause
from earshot.client.streaming import messages
from earshot.client.streaming.backlog import Commit
from earshot.client.streaming.events import Event, Labels, Reconnecting, Resumed, StreamResult
from earshot.client.streaming.events import Final as FinalEvent
from earshot.client.streaming.limit import UncommittedLimitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from earshot.client.retry import RetryPolicy
    from earshot.client.streaming.backlog import Backlog, Chunk
    from earshot.gen.v1 import streaming_pb2

READ_AHEAD: Final = 1024 * 1024  # bytes read before they can be sent, from a source that waits

# What gRPC and proxies say of a connection that broke under a call, beside UNAVAILABLE.
_BROKEN: Final = ("RST_STREAM", "Stream removed", "Connection reset", "Socket closed", "GOAWAY")


class Session:
    """The state of one stream. Times are in seconds on any clock that only goes forward."""

    def __init__(
        self,
        backlog: Backlog,
        policy: RetryPolicy,
        *,
        give_up_after: float,
        limit: int,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """``limit`` is the most bytes of audio to keep; ``give_up_after`` in seconds.

        Of the policy the waits count, and ``max_attempts`` until the first connection is made.
        """
        self.result = StreamResult()
        self.committed = Commit()
        self.leaving = False  # the service asked to go on elsewhere
        self._backlog = backlog
        self._policy = policy
        self._give_up_after = give_up_after
        self._limit = limit
        self._jitter = jitter
        self._finished = False
        self._accepted = False
        self._opened = self._latest = self._progress = 0.0  # this connection, word from it, any commit
        self._failures = 0  # since the last progress
        self._trouble: float | None = None  # when the first of them was
        self._to_resume = False

    @property
    def done(self) -> bool:
        """The summary is here."""
        return self.result.summary is not None

    # The source's side.

    @property
    def is_full(self) -> bool:
        """As much is kept as may be: the source must wait."""
        return self._backlog.held >= self._limit

    def has_room(self, *, waits: bool) -> bool:
        """True where more audio is wanted; ``waits``: the source loses nothing by waiting."""
        return not (self.is_full or (waits and self._backlog.unsent >= READ_AHEAD))

    def add(self, piece: bytes) -> None:
        """Takes the next piece of audio; an empty one is a sign of life."""
        self._backlog.add(piece)

    def finish(self) -> None:
        """The source has ended."""
        self._finished = True
        self._backlog.finish()

    # The sender's side.

    def connect(self, now: float) -> Commit:
        """A connection begins: the point from which it goes on."""
        self._opened = self._latest = now
        self.leaving = False
        self._finished = self._finished and not self._backlog.rewinds
        self._backlog.restart(self.committed)
        return self.committed

    def next(self) -> Chunk | None:
        """The next chunk to send; None where there is none now."""
        return self._backlog.next()

    @property
    def sent_all(self) -> bool:
        """Nothing is left to send, and nothing will come: to be asked after ``next`` gave None."""
        return self._finished

    # The receiver's side.

    def received(self, response: messages.Response, now: float) -> list[Event]:
        """What the message means for the listener, in order."""
        final_before = self.committed.offset
        heard: list[Event] = [Resumed(final_before)] if self._to_resume else []
        self._accepted, self._to_resume, self._latest = True, False, now
        if response.HasField("acknowledgement"):
            self._acknowledge(response.acknowledgement, now)
        heard += messages.events(response, final_before)
        self.leaving = response.HasField("go_away")
        if response.HasField("summary"):
            self.result.summary = messages.summary(response.summary)
        self._keep(heard)
        return heard

    def ended(self) -> errors.EarshotError:
        """The error of a call that ended well without saying that it has answered all."""
        return errors.InternalError(
            "the service ended the stream without its summary", reason="STREAM_CUT_SHORT"
        )

    def asked_to_leave(self) -> errors.EarshotError:
        """The error that stands for go_away."""
        return errors.UnavailableError("the service asked to go on with another replica", reason="GO_AWAY")

    def broken(self, error: errors.EarshotError, now: float) -> Reconnecting:
        """The connection ended with ``error``: when to try again; raises it where that is of no use."""
        least = _pause_for(error)
        if least is None:
            raise error
        self._count(now)
        pause = least + self._wait(error)
        if self._hopeless(now + pause):
            error.add_note(f"attempts {self._failures}, committed up to {self.committed.offset:g} s")
            raise error
        self._to_resume = self._accepted
        return Reconnecting(self._failures, error, pause)

    def patience_left(self, full_since: float, now: float) -> float:
        """Seconds until a stream is given up that has had no room since then; none where none can come."""
        if not self._backlog.frees:
            return 0.0
        return max(0.0, max(full_since, self._progress) + self._give_up_after - now)

    def full(self) -> UncommittedLimitError:
        """The error of a source that must go on where there is no room."""
        advice = (
            "the service is too slow or cannot be reached: allow more (max_uncommitted_bytes), or send slower"
            if self._backlog.frees
            else "a file with a header must be kept whole: give it by its path, or have it sent as "
            "codec='flac', which needs no more than what is not final, or allow more (max_uncommitted_bytes)"
        )
        held = self._backlog.held
        return UncommittedLimitError(
            f"{held} bytes of audio are kept because they are not final yet, and {self._limit} are "
            f"allowed; {advice}",
            held,
        )

    def _acknowledge(self, ack: streaming_pb2.StreamAcknowledgement, now: float) -> None:
        # Without a token the last one holds, and so does what it covers.
        if not ack.resume_token:
            return
        offset = ack.committed_offset.ToNanoseconds() / 1e9
        if offset > self.committed.offset:
            self._failures, self._trouble, self._progress = 0, None, now
        self.committed = Commit(offset, ack.committed_sequence_number, ack.resume_token)
        self._backlog.commit(self.committed)

    def _keep(self, heard: list[Event]) -> None:
        for event in heard:
            if isinstance(event, FinalEvent):
                self.result.segments.append(event.segment)
            elif isinstance(event, Labels) and event.conversation is not None:
                self.result.conversation = event.conversation

    def _count(self, now: float) -> None:
        # A connection on which the service spoke for so long was no part of the trouble before it.
        if self._latest - self._opened >= self._give_up_after:
            self._failures, self._trouble = 0, None
        self._failures += 1
        self._trouble = now if self._trouble is None else self._trouble

    def _wait(self, error: errors.EarshotError) -> float:
        if error.reason == "GO_AWAY" and self._failures == 1:
            return 0.0
        return self._jitter(0, self._policy.bound(self._failures))

    def _hopeless(self, again: float) -> bool:
        if not self._accepted:
            return self._failures >= self._policy.max_attempts
        return self._trouble is not None and again - self._trouble >= self._give_up_after


def _pause_for(error: errors.EarshotError) -> float | None:
    """Seconds that must pass before the stream can go on; None where it cannot."""
    if error.reason == "CLIENT_CLOSED":
        return None
    # A stream has no deadline of ours: it is the service's idle limit, or a proxy's longest stream.
    if isinstance(error, errors.DeadlineExceededError | errors.CancelledError):
        return 0.0
    if any(sign in error.message for sign in _BROKEN):
        return 0.0
    if isinstance(error, errors.QuotaExceededError):  # nothing is lost while it is waited for
        return error.retry_after or None
    return least_pause(error)
