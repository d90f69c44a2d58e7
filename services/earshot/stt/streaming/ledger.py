"""Which chunks a stream has sent, and which of them are still needed for what is not yet final."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from earshot import errors
from earshot.audio.formats import AudioFormat
from earshot.stt.types import SAMPLE_RATE

_MOST_CHUNKS: Final = 10_000  # kept account of, in about 1 MB: so many may be not yet final
_MARGIN: Final = SAMPLE_RATE * 2 // 25  # 80 ms: what a resampler needs to be as if it had heard all before
_FIELD: Final = "audio.sequence_number"


@dataclass(frozen=True, slots=True)
class Mark:
    """Where in the bytes of a stream somebody may start again."""

    number: int = 1  # of the chunk that must be sent again first
    chunk_start: int = 0  # its first byte, counted from the start of the audio
    byte: int = 0  # the first byte of it that is still needed
    sample: int = 0  # the sample (16 kHz) that this byte is the start of
    digest: bytes = b""  # of that chunk; empty while it has not come

    def encoded_anew(self, audio_format: AudioFormat, origin: int) -> Mark:
        """The mark where the next chunk starts with the sample ``origin``, whatever came before."""
        byte = _byte_of(origin, audio_format)
        return Mark(self.number, byte, byte, origin)


@dataclass(frozen=True, slots=True)
class _Chunk:
    number: int
    start: int
    digest: bytes


class Ledger:
    """Counts chunks from ``mark`` on; the first is held against its digest, where there is one."""

    def __init__(self, audio_format: AudioFormat, mark: Mark) -> None:
        self._format, self._mark = audio_format, mark
        self._expected_digest = mark.digest
        self._next = mark.number
        self._bytes = mark.chunk_start
        self._chunks: deque[_Chunk] = deque()
        self._skip = mark.byte - mark.chunk_start

    @property
    def acked(self) -> int:
        """Number of the last chunk that has come."""
        return self._next - 1

    def take(self, number: int, content: bytes) -> bytes:
        """Enters a chunk, and gives of it what has not been heard. Raises ``InvalidArgumentError``."""
        self._check(number)
        if content and (self._format.is_raw or not self._chunks):
            self._enter(content)
        self._next += 1
        self._bytes += len(content)
        skipped = min(self._skip, len(content))
        self._skip -= skipped
        return content[skipped:] if skipped else content

    def mark(self, origin: int) -> Mark:
        """Where to start again for what is not final from the sample ``origin`` on."""
        if not self._format.is_raw:
            return replace(self._mark, digest=self._chunks[0].digest if self._chunks else self._mark.digest)
        sample = max(0, origin - (0 if _is_native(self._format) else _MARGIN))
        byte = _byte_of(sample, self._format)
        while len(self._chunks) > 1 and self._chunks[1].start <= byte:
            self._chunks.popleft()
        if not self._chunks or byte >= self._bytes:
            return Mark(self._next, self._bytes, self._bytes, sample)
        first = self._chunks[0]
        return Mark(first.number, first.start, byte, sample, first.digest)

    def _check(self, number: int) -> None:
        if number != self._next:
            raise errors.InvalidArgumentError(
                f"chunk {number} came where chunk {self._next} was expected: number the chunks one by one, "
                "from 1, or after a break from committed_sequence_number",
                reason="SEQUENCE_GAP",
                field=_FIELD,
            )

    def _enter(self, content: bytes) -> None:
        digest = hashlib.blake2b(content, digest_size=8).digest()
        if self._expected_digest and digest != self._expected_digest:
            raise errors.InvalidArgumentError(
                "the resume token is for other audio: its first chunk is not the one that was sent before",
                reason="RESUME_TOKEN_OTHER_AUDIO",
                field="streaming_config.resume_token",
            )
        self._expected_digest = b""
        if len(self._chunks) >= _MOST_CHUNKS:
            raise errors.InvalidArgumentError(
                f"{_MOST_CHUNKS} chunks are not yet final: send larger ones, of about 100 ms",
                reason="CHUNKS_TOO_SMALL",
                field="audio.content",
            )
        self._chunks.append(_Chunk(self._next, self._bytes, digest))


def _byte_of(sample: int, audio_format: AudioFormat) -> int:
    """Where ``sample`` (16 kHz) starts in raw audio; 0 for others."""
    return sample * audio_format.sample_rate // SAMPLE_RATE * audio_format.frame_bytes


def _is_native(audio_format: AudioFormat) -> bool:
    return audio_format.sample_rate == SAMPLE_RATE
