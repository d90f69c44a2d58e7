"""A WAV file as it comes: its header is read here, so that plain samples need no demuxer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from earshot.audio.checks import Header, bad_content, check_channels, check_rate, check_stated
from earshot.audio.decoding import Samples
from earshot.audio.formats import AudioFormat
from earshot.audio.live_samples import ALAW, F32, F64, MULAW, NOTHING, S16, S24, S32, U8, SampleDecoder
from earshot.audio.live_stage import Stage

_KINDS: Final = {  # format tag and bits a sample
    (1, 8): U8,
    (1, 16): S16,
    (1, 24): S24,
    (1, 32): S32,
    (3, 32): F32,
    (3, 64): F64,
    (6, 8): ALAW,
    (7, 8): MULAW,
}
_UNCOUNTED: Final = 0x7F000000  # who writes to a pipe puts 0, or about the most that 31 or 32 bits hold
_MOST_HEADER: Final = 65_536  # bytes before the samples, and behind them


@dataclass(frozen=True, slots=True)
class _Wav:
    """What stands before the samples."""

    form: bytes  # the body of the chunk "fmt "
    start: int  # of the samples, in bytes from the beginning
    size: int | None  # of the samples, in bytes; None: to the end


class WavDecoder:
    """A WAV file cut anywhere. What is no plain samples goes to the stage that ``otherwise`` makes."""

    def __init__(self, audio_format: AudioFormat, field: str, otherwise: Callable[[], Stage]) -> None:
        self._format, self._field, self._otherwise = audio_format, field, otherwise
        self._head = b""
        self._inner: Stage | None = None
        self._left: int | None = None  # bytes of samples to come; None: to the end
        self._after = 0  # bytes behind the samples

    @property
    def heard(self) -> bool:
        """Some sound has been decoded."""
        return self._inner is not None and self._inner.heard

    def push(self, data: bytes) -> Samples:
        """All samples that can be had by now."""
        if self._inner is None:
            self._head += data
            data = self._begun()
        if self._inner is None:
            return NOTHING
        if self._left is not None:
            data, after = data[: self._left], data[self._left :]
            self._left -= len(data)
            self._after += len(after)
            self._check_after()
        return self._inner.push(data)

    def finish(self) -> Samples:
        """The rest; raises for a header without its end."""
        if self._inner is None:
            raise bad_content(
                "AUDIO_DAMAGED", "content starts as a WAV file, but is cut short: send all of it"
            )
        return self._inner.finish()

    def close(self) -> None:
        """Gives back what stands behind."""
        if self._inner is not None:
            self._inner.close()

    def _check_after(self) -> None:
        if self._after > _MOST_HEADER:
            message = f"{self._after} bytes follow the samples that the header of the WAV file counts"
            raise bad_content("AUDIO_FORMAT_CHANGED", f"{message}: start another stream for them")

    def _begun(self) -> bytes:
        """What follows the header once that is whole; sets what decodes it."""
        wav = _parsed(self._head)
        little = self._head[:4] == b"RIFF"
        if little and wav is None and len(self._head) < _MOST_HEADER:
            return b""
        head, self._head = self._head, b""
        plain = self._plain(wav.form) if little and wav else None
        if not little or not wav or not plain:
            self._inner = self._otherwise()
            return head
        self._inner, self._left = plain, wav.size
        return head[wav.start :]

    def _plain(self, form: bytes) -> SampleDecoder | None:
        """The decoder of plain samples in channels without places; None for all else."""
        tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", form)
        check_channels(channels)
        check_rate(rate)
        if tag == 0xFFFE and len(form) >= 40:
            tag = _extended(form, channels)
        kind = _KINDS.get((tag, bits))
        if kind is None or frame != kind.size * channels:
            return None
        header = Header("wav", kind.codec, rate, channels)
        check_stated(self._format, header, f"{self._field}.explicit_decoding_config")
        return SampleDecoder(kind, rate, channels)


def _extended(form: bytes, channels: int) -> int:
    """The tag within WAVE_FORMAT_EXTENSIBLE; 0 where the channels have places that matter."""
    mask, tag = struct.unpack_from("<IH", form, 20)
    return int(tag) if mask == 0 or channels == 1 else 0


def _parsed(head: bytes) -> _Wav | None:
    """The header, if all of it is there."""
    at, form = 12, b""
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"data":
            return _Wav(form, at, size if 0 < size < _UNCOUNTED else None) if len(form) >= 16 else None
        if name == b"fmt ":
            form = head[at : at + size]
        at += size + size % 2
    return None
