"""Any history of a stream, with breaks anywhere: every byte of it is heard once, and in order.

The protocol's two ends against a model of them: the model is the recording itself. A caller sends chunks and
keeps what is not committed; the service counts them, says where one may start again, and may be gone at any
moment, with all but what its last token says. ``EARSHOT_HISTORIES`` says how many histories.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from earshot import errors
from earshot.audio.formats import AudioFormat, Encoding
from earshot.gen.v1 import speech_pb2
from earshot.runtime.seals import KeyRing, Seals
from earshot.stt.streaming import position
from earshot.stt.streaming.ledger import Ledger
from earshot.stt.streaming.position import Position
from earshot.stt.types import SAMPLE_RATE

HISTORIES = int(os.environ.get("EARSHOT_HISTORIES", "60"))
SEALS = Seals(KeyRing(None), "histories", Position, 3_600.0, position.TOKEN_FIELD)
FORMATS = [
    AudioFormat(Encoding.LINEAR16, 16_000, 1),
    AudioFormat(Encoding.LINEAR16, 48_000, 2),
    AudioFormat(Encoding.LINEAR16, 44_100, 1),
    AudioFormat(Encoding.MULAW, 8_000, 1),
]
SIZES = st.one_of(st.integers(1, 40), st.integers(100, 9_000))


class Stream(RuleBasedStateMachine):
    """One stream over any number of connections."""

    @initialize(audio_format=st.sampled_from(FORMATS))
    def begin(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.chunks: list[bytes] = []  # all of the recording so far, as the caller cut it
        self.recording = bytearray()
        self.token = ""  # the last that came; with it what was final then
        self.final = 0  # samples that the caller has as words, for good
        self._connect()

    def _config(self) -> speech_pb2.StreamingRecognitionConfig:
        return speech_pb2.StreamingRecognitionConfig(resume_token=self.token)

    def _connect(self) -> None:
        """Another replica, which knows the token alone."""
        self.position = position.opened(self._config(), "m", SEALS)
        self.ledger = Ledger(self.format, self.position.mark)
        self.heard = bytearray()  # by this replica, from the mark's byte on
        for number in range(self.position.mark.number, len(self.chunks) + 1):
            self.heard += self.ledger.take(number, self.chunks[number - 1])

    @rule(size=SIZES)
    def speak(self, size: int) -> None:
        """The next chunk, its bytes unlike those before it."""
        start = len(self.recording)
        chunk = bytes((start + at) * 31 % 251 for at in range(size))
        self.recording += chunk
        self.chunks.append(chunk)
        self.heard += self.ledger.take(len(self.chunks), chunk)

    @precondition(lambda self: self.chunks)
    @rule(share=st.floats(0, 1))
    def commit(self, share: float) -> None:
        """Words become final up to somewhere in what has come, and a token says so."""
        heard = len(self.recording) // self.format.frame_bytes * SAMPLE_RATE // self.format.sample_rate
        self.final = max(self.final, int(self.final + share * (heard - self.final)))
        made = Position(
            config=position.digest(self._config()),
            model="m",
            origin=self.final,
            mark=self.ledger.mark(self.final),
        )
        self.token = SEALS.seal(made)

    @rule()
    def lose(self) -> None:
        """The connection breaks, or the replica dies: the caller goes on by its token."""
        self._connect()

    @precondition(lambda self: self.chunks)
    @rule(step=st.sampled_from([-2, -1, 1, 5]))
    def misnumber(self, step: int) -> None:
        """A chunk left out or sent twice is refused, and changes nothing."""
        number = len(self.chunks) + 1 + step
        with pytest.raises(errors.InvalidArgumentError) as caught:
            self.ledger.take(number, b"what is not to be heard")
        assert caught.value.reason == "SEQUENCE_GAP"

    @precondition(lambda self: self.token and self.position.mark.digest)
    @rule()
    def other_audio(self) -> None:
        """A token with another recording is refused."""
        mark = position.opened(self._config(), "m", SEALS).mark
        if not mark.digest:
            return
        with pytest.raises(errors.InvalidArgumentError) as caught:
            Ledger(self.format, mark).take(mark.number, b"quite another recording")
        assert caught.value.reason == "RESUME_TOKEN_OTHER_AUDIO"

    @invariant()
    def every_byte_is_heard_once_and_in_order(self) -> None:
        assert self.heard == self.recording[self.position.mark.byte :]

    @invariant()
    def nothing_that_is_not_final_is_lost(self) -> None:
        """What a replica begins with is at or before the first sample that is still to become words."""
        mark = self.position.mark
        assert mark.sample <= self.position.origin
        assert (
            mark.byte
            <= self.position.origin * self.format.sample_rate / SAMPLE_RATE * self.format.frame_bytes
        )
        assert mark.byte % self.format.frame_bytes == 0

    @invariant()
    def all_is_acknowledged(self) -> None:
        assert self.ledger.acked == len(self.chunks)


TestHistories = Stream.TestCase
TestHistories.settings = settings(max_examples=HISTORIES, stateful_step_count=40, deadline=None)
