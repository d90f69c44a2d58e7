"""The same Opus, cut anywhere and heard beside anything: the same stretches, to the sample.

What a stream hears must not hang on when its packets came, or a stream that broke would go on with other
words than the one that did not. That an engine says the same of the same stretch is tested with the engines
(tests/unit/stt/engines/test_whisper_engines.py, test_pocketsphinx.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import LiveLimits
from earshot.client.streaming import transcoding
from earshot.runtime.blobs import Blob
from earshot.runtime.task import Job, Result
from earshot.stt.streaming import wire
from earshot.stt.streaming.listen_task import ListenTask
from earshot.stt.types import Samples
from tests.unit.audio.streaming import cut
from tests.unit.stt.engines.conftest import Spoken, digits, never

__all__ = ["digits"]  # a fixture

OPUS = AudioFormat(Encoding.OGG_OPUS)
HOW = wire.Endpointing(max_segment=4.0)
Stretch = tuple[wire.Span, bytes]


@pytest.fixture(scope="module")
def spoken(digits: Callable[[str], Spoken]) -> Samples:
    return digits("theo.flac").up_to(14).samples


def encoded(samples: Samples, *sizes: int) -> bytes:
    """As the client sends it, where it was given pieces of these sizes in bytes."""
    encoder = transcoding.codec("opus:24k").new()
    return b"".join([*map(encoder.encode, cut(samples.tobytes(), *sizes)), encoder.finish()])


class Listener:
    """The listener's task with streams in it."""

    def __init__(self) -> None:
        self._task = ListenTask(LiveLimits())

    def open(self, stream: int) -> None:
        self._answer(wire.Open(stream, OPUS, HOW, 0, 0, 0, "config"))

    def push(self, stream: int, data: bytes, *, last: bool = False) -> list[Stretch]:
        """The stretches that have ended by it."""
        found = []
        heard, samples = self._answer(wire.Push(stream, data, last))
        while heard.span:
            found.append((heard.span, samples))
            heard, samples = self._answer(wire.Push(stream, b"", last))
        return found

    def close(self, stream: int) -> None:
        self._answer(wire.Close(stream))

    def _answer(self, message: wire.ToListener) -> tuple[wire.Heard, bytes]:
        (result,) = self._task.run([Job(wire.encode(message), memoryview(b""))], never)
        assert isinstance(result, Result)
        with result.blob or Blob.empty() as samples:
            return wire.decode_heard(result.body), bytes(samples.view())


def heard(listener: Listener, pieces: Iterable[bytes], beside: bytes = b"") -> list[Stretch]:
    """The stretches of the pieces; another stream sends ``beside`` between them, a little at a time."""
    listener.open(1)
    listener.open(2)
    others, found = cut(beside, 333), []
    for piece in pieces:
        found += listener.push(1, piece)
        listener.push(2, next(others, b""))
    found += listener.push(1, b"", last=True)
    listener.close(1)
    listener.close(2)
    return found


@pytest.fixture(scope="module")
def stretches(spoken: Samples) -> list[Stretch]:
    """Of all of it, sent at once."""
    found = heard(Listener(), [encoded(spoken, 3200)])
    assert len(found) > 2
    return found


@pytest.mark.parametrize("sizes", [(400,), (17, 1, 900, 3), (8192,), (1, 20_000)])
def test_wherever_packets_are_cut(spoken: Samples, stretches: list[Stretch], sizes: tuple[int, ...]) -> None:
    assert heard(Listener(), cut(encoded(spoken, 3200), *sizes)) == stretches


def test_whatever_other_streams_are_there(spoken: Samples, stretches: list[Stretch]) -> None:
    listener = Listener()
    other = encoded(spoken[20_000:], 3200)
    for _ in range(2):  # a listener that has heard others before
        assert heard(listener, cut(encoded(spoken, 3200), 700), other) == stretches


@pytest.mark.parametrize("sizes", [(1600,), (34, 5000), (9998,)])
def test_however_the_client_had_its_samples(
    spoken: Samples, stretches: list[Stretch], sizes: tuple[int, ...]
) -> None:
    """A microphone's blocks are shorter than a file's, and a pipe's may have any size."""
    assert heard(Listener(), [encoded(spoken, *sizes)]) == stretches
