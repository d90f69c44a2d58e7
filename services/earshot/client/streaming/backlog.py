"""The audio that a stream must still be able to send, and in which pieces. Does no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE_RATE: Final = 16_000  # of what is encoded here
BYTES_PER_SAMPLE: Final = 2
STEP: Final = 3_200  # bytes given to the encoder at once: 100 ms


@dataclass(frozen=True, slots=True)
class Commit:
    """Up to where the service has made the stream final, and how to go on from there."""

    offset: float = 0.0  # seconds
    sequence_number: int = 1  # of the first chunk that must still be kept
    token: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of audio with its number."""

    number: int
    content: bytes


class Backlog(Protocol):
    """What is not committed: it takes audio in, and gives numbered chunks out, again after a break."""

    held: int  # bytes kept
    frees: bool  # commits make room
    rewinds: bool  # a new connection needs the source from its beginning

    @property
    def unsent(self) -> int:
        """Bytes not given out yet on this connection."""

    def add(self, piece: bytes) -> None:
        """Takes the next piece of the source; an empty one shows that the stream lives."""

    def finish(self) -> None:
        """The source has ended."""

    def next(self) -> Chunk | None:
        """The next chunk to send; None where there is none now."""

    def commit(self, commit: Commit) -> None:
        """Lets go of what is final."""

    def restart(self, commit: Commit) -> None:
        """A new connection: what is given out next follows ``commit``."""


class Chunks:
    """Chunks as they were cut, kept until they are committed; for raw samples.

    A file with a header is never committed before its end, and kept whole.
    """

    rewinds = False

    def __init__(self, *, frees: bool = True) -> None:
        self.held = self.unsent = 0
        self.frees = frees
        self._chunks: deque[bytes] = deque()
        self._first = 1  # number of the first that is kept
        self._next = 1  # number of the next to give out

    def add(self, piece: bytes) -> None:
        """Keeps the piece as one chunk."""
        self._chunks.append(piece)
        self.held += len(piece)
        self.unsent += len(piece)

    def finish(self) -> None:
        """Nothing is held back."""

    def next(self) -> Chunk | None:
        """The next chunk that was not given out on this connection."""
        index = self._next - self._first
        if index >= len(self._chunks):
            return None
        chunk = Chunk(self._next, self._chunks[index])
        self._next += 1
        self.unsent -= len(chunk.content)
        return chunk

    def commit(self, commit: Commit) -> None:
        """Drops the chunks before the committed one."""
        while self._first < min(commit.sequence_number, self._next):
            self.held -= len(self._chunks.popleft())
            self._first += 1

    def restart(self, commit: Commit) -> None:
        """Goes back to the first chunk that is kept, which is the committed one."""
        self.commit(commit)
        self._next = self._first
        self.unsent = self.held


class Rewound:
    """Chunks of a source that can be read again from its beginning: nothing is kept."""

    frees = rewinds = True

    def __init__(self) -> None:
        self.held = self.unsent = 0
        self._chunks: deque[bytes] = deque()
        self._next = 1

    def add(self, piece: bytes) -> None:
        """Keeps the piece until it is sent."""
        self._chunks.append(piece)
        self.held = self.unsent = self.unsent + len(piece)

    def finish(self) -> None:
        """Nothing is held back."""

    def next(self) -> Chunk | None:
        """Gives the next chunk away."""
        if not self._chunks:
            return None
        chunk = Chunk(self._next, self._chunks.popleft())
        self._next += 1
        self.held = self.unsent = self.unsent - len(chunk.content)
        return chunk

    def commit(self, commit: Commit) -> None:
        """Nothing is kept."""

    def restart(self, commit: Commit) -> None:
        """Begins with the first chunk: the source is read again."""
        self._chunks.clear()
        self.held = self.unsent = 0
        self._next = 1


class Encoder(Protocol):
    """Makes one file of samples, piece by piece."""

    def encode(self, samples: bytes) -> bytes:
        """What of the file has become ready; may be empty. ``samples`` are s16, mono, 16 kHz."""

    def finish(self) -> bytes:
        """The rest of the file."""


class Samples:
    """Samples (s16, mono, 16 kHz) that are encoded on the way out: they are kept, not the packets.

    An encoder cannot be taken back: each connection has a new one, from the committed sample on.
    """

    frees = True
    rewinds = False

    def __init__(self, encoder: Callable[[], Encoder]) -> None:
        self.held = 0
        self._new_encoder = encoder
        self._encoder: Encoder | None = encoder()
        self._kept = bytearray()
        self._start = 0  # of what is kept, in bytes from the beginning
        self._sent = 0  # the same
        self._next = 1
        self._finished = False
        self._alive = 0  # empty chunks to send

    @property
    def unsent(self) -> int:
        """Bytes that the encoder has not had."""
        return self._start + len(self._kept) - self._sent

    def add(self, piece: bytes) -> None:
        """Keeps the samples."""
        self._alive += not piece
        self._kept += piece
        self.held = len(self._kept)

    def finish(self) -> None:
        """The encoder may end its file when it has had all."""
        self._finished = True

    def next(self) -> Chunk | None:
        """The next packets; the last ones end the file."""
        while self._encoder is not None:
            if content := self._encode(self._encoder):
                return self._numbered(content)
            if not (self._finished or self.unsent >= BYTES_PER_SAMPLE):
                break
        if not self._alive:
            return None
        self._alive -= 1
        return self._numbered(b"")

    def commit(self, commit: Commit) -> None:
        """Drops the samples before the committed one."""
        until = min(round(commit.offset * SAMPLE_RATE) * BYTES_PER_SAMPLE, self._sent)
        if until > self._start:
            del self._kept[: until - self._start]
            self._start, self.held = until, len(self._kept)

    def restart(self, commit: Commit) -> None:
        """Begins a new file with the committed sample."""
        self.commit(commit)
        self._sent, self._next, self._alive = self._start, commit.sequence_number, 0
        self._encoder = self._new_encoder()

    def _encode(self, encoder: Encoder) -> bytes:
        begin = self._sent - self._start
        whole = self.unsent - self.unsent % BYTES_PER_SAMPLE  # pieces may be cut within a sample
        samples = bytes(self._kept[begin : begin + min(whole, STEP)])
        if samples:
            self._sent += len(samples)
            return encoder.encode(samples)
        if not self._finished:
            return b""
        self._encoder = None
        return encoder.finish()

    def _numbered(self, content: bytes) -> Chunk:
        self._next += 1
        return Chunk(self._next - 1, content)
