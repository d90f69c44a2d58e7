"""Samples that come as they are, in bytes cut anywhere: no demuxer, so that none of them waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from earshot.audio.decoding import Samples, rounded, translated
from earshot.audio.formats import SAMPLE_RATE, Encoding
from earshot.audio.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTHING: Final[Samples] = np.zeros(0, np.int16)


def _mulaw() -> NDArray[np.int16]:
    """The 256 values of ITU-T G.711's mu-law: sign, exponent of three bits, mantissa of four; inverted."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    value = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return np.where(code & 0x80, -value, value).astype(np.int16)


def _alaw() -> NDArray[np.int16]:
    """The 256 values of its A-law: as mu-law, but the lowest step is linear, and even bits inverted."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    step, mantissa = code >> 4 & 7, ((code & 15) << 4) + 8
    value = np.where(step > 0, mantissa + 256 << np.maximum(step - 1, 0), mantissa)
    return np.where(code & 0x80, value, -value).astype(np.int16)


def _wide(data: bytes) -> NDArray[np.int32]:
    """24-bit samples, each in the upper three bytes of four."""
    four = np.zeros((len(data) // 3, 4), np.uint8)
    four[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return four.view("<i4").reshape(-1)


def _plain(kind: str) -> Callable[[bytes], NDArray[Any]]:
    return lambda data: np.frombuffer(data, kind)


def _table(values: NDArray[np.int16]) -> Callable[[bytes], NDArray[Any]]:
    return lambda data: values[np.frombuffer(data, np.uint8)]


@dataclass(frozen=True, slots=True)
class SampleKind:
    """How one sample of one channel is coded."""

    codec: str  # libav's name
    size: int  # bytes
    frames: str  # libav's name of what it is unpacked to
    unpack: Callable[[bytes], NDArray[Any]]


U8: Final = SampleKind("pcm_u8", 1, "u8", _plain("u1"))
S16: Final = SampleKind("pcm_s16le", 2, "s16", _plain("<i2"))
S24: Final = SampleKind("pcm_s24le", 3, "s32", _wide)
S32: Final = SampleKind("pcm_s32le", 4, "s32", _plain("<i4"))
F32: Final = SampleKind("pcm_f32le", 4, "flt", _plain("<f4"))
F64: Final = SampleKind("pcm_f64le", 8, "dbl", _plain("<f8"))
MULAW: Final = SampleKind("pcm_mulaw", 1, "s16", _table(_mulaw()))
ALAW: Final = SampleKind("pcm_alaw", 1, "s16", _table(_alaw()))

RAW_KINDS: Final[dict[Encoding | None, SampleKind]] = {
    Encoding.LINEAR16: S16,
    Encoding.LINEAR32F: F32,
    Encoding.MULAW: MULAW,
    Encoding.ALAW: ALAW,
}


class SampleDecoder:
    """Interleaved samples of ``kind`` at ``rate`` hertz to s16 mono at 16 kHz."""

    def __init__(self, kind: SampleKind, rate: int, channels: int) -> None:
        self._kind, self._rate, self._channels = kind, rate, channels
        self._as_is = kind is S16 and rate == SAMPLE_RATE and channels == 1
        self._resampler = Resampler(block=0)
        self._part = b""  # of a sample of all channels, cut
        self.heard = False  # a whole sample has come

    def push(self, data: bytes) -> Samples:
        """All samples that can be had by now."""
        data = self._part + data
        end = len(data) - len(data) % (self._kind.size * self._channels)
        self._part = data[end:]
        if not end:
            return NOTHING
        self.heard = True
        values = self._kind.unpack(data[:end])
        return values.astype(np.int16) if self._as_is else self._resampled(values)

    def finish(self) -> Samples:
        """What the filter still holds; part of a sample is dropped."""
        with translated():
            return joined(rounded(block, True) for block in self._resampler.flush())

    def close(self) -> None:
        """There is nothing to give back."""

    def _resampled(self, values: NDArray[Any]) -> Samples:
        layout = f"{self._channels} channels"
        with translated():
            frame = av.AudioFrame.from_ndarray(values.reshape(1, -1), self._kind.frames, layout)
            frame.sample_rate = self._rate
            return joined(rounded(block, True) for block in self._resampler.push(frame))


def joined(blocks: Iterable[Samples]) -> Samples:
    """One array of all."""
    return np.concatenate([NOTHING, *blocks])
