"""Any history of a stream, with breaks anywhere: every word of it comes once, in order, and is of its audio.

The protocol's two ends, as they are, against a model of them: the model is the recording itself. A caller
sends chunks and keeps what is not committed; the service counts them, says what is final and where one may
start again, and may be gone at any moment, with all but what its last token says. What one has sent to the
other may be lost with the connection. Each "final" is the checksum of the audio that was heard for it.

``python -m tests.unit.stt.streaming.histories COUNT`` tries so many, and prints what has happened in them.
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from collections import Counter, deque
from dataclasses import dataclass
from typing import ClassVar
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from earshot import errors
from earshot.audio.formats import AudioFormat, Encoding
from earshot.client.retry import RetryPolicy
from earshot.client.streaming.backlog import Backlog, Chunk, Chunks, Samples
from earshot.client.streaming.events import Final as FinalEvent
from earshot.client.streaming.session import Session
from earshot.gen.v1 import audio_pb2, speech_pb2
from earshot.runtime import seals
from earshot.runtime.seals import KeyRing, Seals
from earshot.stt.streaming import position
from earshot.stt.streaming.ledger import Ledger
from earshot.stt.streaming.position import Position
from earshot.stt.streaming.replies import Acknowledgement, Final, Reply, Summary
from earshot.stt.streaming.responses import Answering
from earshot.stt.types import SAMPLE_RATE, Segment

STEPS = 40
MODEL = "m"
LIFETIME = 3_600  # seconds that a token holds
SEALS = Seals(KeyRing(None), "histories", Position, LIFETIME, position.TOKEN_FIELD)
OTHER_KEYS = Seals(KeyRing(None), "histories", Position, LIFETIME, position.TOKEN_FIELD)
ANSWERING = Answering(SEALS, audio_pb2.ModelSelection(model=MODEL), "replica")
NOISE = random.Random(0).randbytes(2**20)  # of which each recording is the beginning: no part is like another
SIZES = st.one_of(st.integers(0, 40), st.integers(100, 9_000))
FEW = st.integers(1, 4)
PATIENT = RetryPolicy(max_attempts=10**9, initial=0.0, maximum=0.0)


class Same:
    """An encoder of samples as they are."""

    def encode(self, samples: bytes) -> bytes:
        return samples

    def finish(self) -> bytes:
        return b""


@dataclass(frozen=True)
class Way:
    """How audio goes to the service. A file is taken as if it were the samples that are in it."""

    audio_format: AudioFormat
    rate: int = SAMPLE_RATE
    frame: int = 2  # bytes
    encodes: bool = False  # the client encodes it itself, and begins a new file after each break

    def byte_of(self, sample: int) -> int:
        """Where a sample (16 kHz) begins."""
        return sample * self.rate // SAMPLE_RATE * self.frame

    def samples_in(self, size: int) -> int:
        """How many (16 kHz) are whole in so many bytes."""
        return size // self.frame * SAMPLE_RATE // self.rate

    def backlog(self) -> Backlog:
        """What the client keeps it in."""
        return Samples(Same) if self.encodes else Chunks(frees=self.audio_format.is_raw)


RAW = AudioFormat(Encoding.LINEAR16, 16_000, 1)
FILE = AudioFormat()
WAYS = [
    Way(RAW),
    Way(AudioFormat(Encoding.LINEAR16, 48_000, 2), 48_000, 4),
    Way(AudioFormat(Encoding.LINEAR16, 44_100, 1), 44_100, 2),
    Way(AudioFormat(Encoding.MULAW, 8_000, 1), 8_000, 1),
    Way(FILE),
    Way(RAW, encodes=True),
    Way(FILE, encodes=True),
]


def checksum(content: bytes | bytearray) -> str:
    """What is "said" in audio."""
    return f"{zlib.crc32(content):08x}"


class Clock:
    """Stands still until it is moved; whole seconds."""

    now = 1_800_000_000

    def time(self) -> float:
        return float(self.now)


@dataclass(frozen=True)
class Span:
    """A stretch that is final: what was heard in it, nothing where it is silence."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Said:
    """A message on its way to the caller, and what the model knows of it."""

    message: speech_pb2.StreamingRecognizeResponse
    span: Span | None
    sealed: int  # when


class Replica:
    """The service's end of one connection. It knows the token alone."""

    def __init__(self, way: Way, config: speech_pb2.StreamingRecognitionConfig, clock: Clock) -> None:
        self.position = position.opened(config, MODEL, SEALS)
        self.mark = self.position.mark
        if config.audio_from_committed_offset:
            self.mark = self.mark.encoded_anew(way.audio_format, self.position.origin)
        self.ledger = Ledger(way.audio_format, self.mark)
        self.heard, self.taken = bytearray(), self.mark.number - 1
        self.first = way.byte_of(self.mark.sample)  # the recording's byte that it hears first
        self.said: deque[Said] = deque()
        self._way, self._clock = way, clock
        self._say(Reply(acknowledgement=Acknowledgement(self.ledger.acked, self.position)))

    @property
    def received(self) -> int:
        """Samples, over all connections."""
        return self._way.samples_in(self.first + len(self.heard))

    def take(self, chunk: Chunk) -> None:
        self.heard += self.ledger.take(chunk.number, chunk.content)
        self.taken = chunk.number

    def settle(self, share: float, *, silent: bool) -> None:
        """Makes words, or silence, final up to somewhere in what has come."""
        start = self.position.origin
        left = self.received - start
        if left <= 0:
            return
        end = start + max(1, int(share * left))
        heard = self.heard[self._way.byte_of(start) - self.first : self._way.byte_of(end) - self.first]
        span = Span(start, end, "" if silent else checksum(heard))
        before = self.position
        self.position = msgspec.structs.replace(
            before,
            origin=end,
            keep_from=end,
            mark=self.ledger.mark(end),
            finals=before.finals + (not silent),
            transcribed=before.transcribed + (0 if silent else end - start),
        )
        acknowledgement = Acknowledgement(self.ledger.acked, self.position)
        self._say(Reply(final=_final(span), acknowledgement=acknowledgement), span)

    def conclude(self) -> None:
        """The caller has closed its side."""
        self.settle(1.0, silent=False)
        where = self.position
        self._say(Reply(summary=Summary(where.origin, where.transcribed, where.finals)))

    def show_life(self) -> None:
        self._say(Reply(acknowledgement=Acknowledgement(self.ledger.acked)))

    def leave(self) -> None:
        """As one does that is told to stop."""
        self._say(Reply(time_left=8.0))

    def _say(self, reply: Reply, span: Span | None = None) -> None:
        sent = ANSWERING.message(reply).SerializeToString()
        message = speech_pb2.StreamingRecognizeResponse.FromString(sent)
        self.said.append(Said(message, span, self._clock.now))


def _final(span: Span) -> Final | None:
    if not span.text:
        return None
    segment = Segment(span.text, span.start / SAMPLE_RATE, span.end / SAMPLE_RATE)
    return Final(segment, "en", audio=0.0, queue=0.0, inference=0.0, total=0.0)


_going_on = precondition(lambda self: not self.over)
_with_token = precondition(lambda self: not self.over and self.session.committed.token and not self.expired)


class Stream(RuleBasedStateMachine):
    """One stream over any number of connections."""

    tally: ClassVar[Counter[str]] = Counter()  # of all histories

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patched = patch.object(seals, "time", self.clock)
        self.patched.start()

    @initialize(way=st.sampled_from(WAYS), sizes=st.lists(SIZES, min_size=1, max_size=6))
    def begin(self, way: Way, sizes: list[int]) -> None:
        self.way = way
        self.session = Session(
            way.backlog(), PATIENT, give_up_after=60.0, limit=2**30, jitter=lambda low, _: low
        )
        self.recording = bytearray()
        self.up: deque[Chunk] = deque()  # on their way to the service
        self.known = 0  # samples that the caller has as words or silence, for good
        self.sealed = self.clock.now  # when the caller's token was
        self.finished = self.over = False
        self._connect()
        for size in sizes:  # without audio there would be little to go wrong
            self.speak(size)

    @property
    def expired(self) -> bool:
        return self.clock.now > self.sealed + LIFETIME

    def _config(self) -> speech_pb2.StreamingRecognitionConfig:
        token = self.session.committed.token
        return speech_pb2.StreamingRecognitionConfig(
            resume_token=token, audio_from_committed_offset=bool(token) and self.way.encodes
        )

    def _connect(self) -> None:
        """With another replica."""
        self.up.clear()
        commit = self.session.connect(0.0)
        if commit.token and self.expired:
            self._refused()
            return
        self.replica = Replica(self.way, self._config(), self.clock)
        assert self.replica.position.origin == self.known

    def _refused(self) -> None:
        """Too late: the caller is told, and tries no more."""
        with pytest.raises(errors.InvalidArgumentError) as caught:
            Replica(self.way, self._config(), self.clock)
        assert caught.value.reason == "RESUME_TOKEN_EXPIRED"
        with pytest.raises(errors.InvalidArgumentError):
            self.session.broken(caught.value, 0.0)
        self.over = True
        self.tally["expired"] += 1

    # The caller.

    @precondition(lambda self: not self.over and not self.finished)
    @rule(size=SIZES)
    def speak(self, size: int) -> None:
        piece = NOISE[len(self.recording) : len(self.recording) + size]
        self.recording += piece
        self.session.add(piece)

    @_going_on
    @rule(count=FEW)
    def send(self, count: int) -> None:
        for _ in range(count):
            if chunk := self.session.next():
                self.up.append(chunk)

    @precondition(lambda self: not self.over and not self.finished)
    @rule()
    def finish(self) -> None:
        """The source has ended."""
        self.session.finish()
        self.finished = True

    @_going_on
    @rule(count=FEW)
    def listen(self, count: int) -> None:
        for _ in range(min(count, len(self.replica.said))):
            self._hear(self.replica.said.popleft())

    def _hear(self, said: Said) -> None:
        events = self.session.received(said.message, 0.0)
        finals = [event.text for event in events if isinstance(event, FinalEvent)]
        assert finals == ([said.span.text] if said.span and said.span.text else [])
        self.tally["finals"] += len(finals)
        if said.message.acknowledgement.resume_token:
            self.sealed = said.sealed
        if said.span:
            self._go_on(said.span)
        if self.session.done and not self.over:
            self._complete()

    def _go_on(self, span: Span) -> None:
        """It follows on what the caller has, and says what is in the recording there."""
        spoken = self.recording[self.way.byte_of(span.start) : self.way.byte_of(span.end)]
        assert span.start == self.known
        assert span.text in ("", checksum(spoken))
        self.known = span.end

    def _complete(self) -> None:
        result, samples = self.session.result, self.way.samples_in(len(self.recording))
        assert result.summary
        assert result.summary.complete
        assert result.summary.finals == len(result.segments)
        assert round(result.summary.audio_received * SAMPLE_RATE) == self.known == samples
        self.over = True
        self.tally["complete"] += 1

    # The service.

    @_going_on
    @rule(count=FEW)
    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.up))):
            self.replica.take(self.up.popleft())

    @_going_on
    @rule(share=st.floats(0, 1), silent=st.booleans())
    def settle(self, share: float, silent: bool) -> None:
        self.replica.settle(share, silent=silent)

    @_going_on
    @rule()
    def show_life(self) -> None:
        self.replica.show_life()

    @precondition(lambda self: not self.over and self.finished)
    @rule()
    def half_close(self) -> None:
        """All that is left is sent and comes; the summary may be lost all the same."""
        while chunk := self.session.next():
            self.up.append(chunk)
        assert self.session.sent_all
        while self.up:
            self.replica.take(self.up.popleft())
        self.replica.conclude()

    # What comes between them.

    @_going_on
    @rule()
    def lose(self) -> None:
        """The connection breaks, or the replica dies."""
        self.tally["reconnects"] += 1
        self.session.broken(errors.UnavailableError("gone"), 0.0)
        self._connect()

    @_going_on
    @rule()
    def move(self) -> None:
        """The replica leaves, and the caller goes on with another when it has read so."""
        self.replica.leave()
        while self.replica.said and not self.over:
            self._hear(self.replica.said.popleft())
        if self.over:
            return
        assert self.session.leaving
        self.tally["reconnects"] += 1
        self.session.broken(self.session.asked_to_leave(), 0.0)
        self._connect()

    @_going_on
    @rule(seconds=st.sampled_from([1, LIFETIME // 2, LIFETIME]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    # What is refused, and changes nothing.

    @rule(step=st.sampled_from([-2, -1, 1, 5]))
    def misnumber(self, step: int) -> None:
        """A chunk left out or sent twice."""
        with pytest.raises(errors.InvalidArgumentError) as caught:
            self.replica.ledger.take(self.replica.taken + 1 + step, b"what is not to be heard")
        assert caught.value.reason == "SEQUENCE_GAP"

    @_with_token
    @rule()
    def other_audio(self) -> None:
        """A token with another recording."""
        mark = position.opened(self._config(), MODEL, SEALS).mark
        if not mark.digest:
            return
        with pytest.raises(errors.InvalidArgumentError) as caught:
            Ledger(self.way.audio_format, mark).take(mark.number, b"quite another recording")
        assert caught.value.reason == "RESUME_TOKEN_OTHER_AUDIO"

    @_with_token
    @rule(what=st.sampled_from(["OTHER_CONFIG", "OTHER_MODEL", "FORGED"]))
    def other_stream(self, what: str) -> None:
        """A token of another stream's, or of another service's."""
        config = self._config()
        if what == "OTHER_CONFIG":
            config.config.language_code = "de"
        model = "another" if what == "OTHER_MODEL" else MODEL
        with pytest.raises(errors.InvalidArgumentError) as caught:
            position.opened(config, model, OTHER_KEYS if what == "FORGED" else SEALS)
        assert caught.value.reason == f"RESUME_TOKEN_{what}"

    # What holds at all times.

    @invariant()
    def every_byte_is_heard_once_and_in_order(self) -> None:
        replica = self.replica
        assert replica.heard == self.recording[replica.first : replica.first + len(replica.heard)]

    @invariant()
    def nothing_that_is_not_final_is_lost(self) -> None:
        """What a replica begins with is at or before the first sample that is still to become words."""
        mark = self.replica.mark
        assert mark.sample <= self.replica.position.origin
        if self.way.audio_format.is_raw:
            assert mark.byte == self.replica.first
            assert mark.byte % self.way.frame == 0

    @invariant()
    def all_is_acknowledged(self) -> None:
        assert self.replica.ledger.acked == self.replica.taken

    @invariant()
    def who_has_the_token_has_the_words(self) -> None:
        assert round(self.session.committed.offset * SAMPLE_RATE) == self.known

    def teardown(self) -> None:
        """Whatever has happened, the stream can be ended well."""
        try:
            if sys.exc_info()[0] is None and not self.over:
                self._to_the_end()
        finally:
            self.patched.stop()
            self.tally["histories"] += 1

    def _to_the_end(self) -> None:
        if not self.finished:
            self.finish()
        self.half_close()
        while not self.over:
            self._hear(self.replica.said.popleft())


def main() -> None:
    """The command."""
    how = settings(
        max_examples=int(sys.argv[1]),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Stream, settings=how)
    print(json.dumps(Stream.tally))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
