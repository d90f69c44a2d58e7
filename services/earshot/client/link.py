"""How fast the way to the service is, and what that makes worth sending. Does no I/O.

The rate comes from two calls that list the models: a bare one, and one padded with bytes that the service
skips. What the second takes longer is what the padding took; latency and the service's own work are in both.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.gen.v1 import speech_pb2
from earshot.rpc import status

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

PADDING: Final = 16 * 1024  # bytes
PATIENCE: Final = 5.0  # seconds for each call: a link that takes longer is slow enough
# Below it nothing is measured: at 1 Mbit/s it is on its way in half a second.
SMALL: Final = 64 * 1024  # bytes

LOSSY: Final = "opus:32k"
_HOLDS: Final = 60.0  # seconds after which a rate is measured anew
_SHARPEST: Final = 1e-4  # seconds; below it two times are the same
_PAD_TAG: Final = b"\x7a"  # field 15, which no version of the message has; bytes with their length before
_PCM_RATE: Final = 32_000  # bytes a second, of what the service hears
# Of a second of speech (benchmarks/results/codecs.json): bytes, and the encoder's seconds.
_FLAC: Final = (0.5 * _PCM_RATE, 0.001)
_OPUS: Final = (4_000.0, 0.012)
_LEAST_GAIN: Final = 0.5  # seconds; and half of the time: else what is lost is lost for little


def probes() -> tuple[speech_pb2.SpeechToTextListModelsRequest, ...]:
    """What is called, in turn: to be connected, to take the bare time, and with the padding."""
    bare = speech_pb2.SpeechToTextListModelsRequest()
    return bare, bare, _padded()


def _padded() -> speech_pb2.SpeechToTextListModelsRequest:
    """``PADDING`` bytes longer; they cannot be compressed."""
    size = bytes([PADDING & 0x7F | 0x80, PADDING >> 7 & 0x7F | 0x80, PADDING >> 14])
    return speech_pb2.SpeechToTextListModelsRequest.FromString(_PAD_TAG + size + os.urandom(PADDING))


@dataclass(frozen=True, slots=True)
class Clip:
    """What can be made smaller."""

    size: int  # bytes, as it is
    seconds: float  # of audio, about
    is_pcm: bool  # else it is FLAC, and small without loss already


class Link:
    """The rate that was measured last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate, self._until = 0.0, -1.0

    @property
    def is_known(self) -> bool:
        """Whether there is a rate that still holds."""
        return self._clock() < self._until

    @property
    def rate(self) -> float:
        """Bytes a second; infinite where nothing can be told."""
        return self._rate

    def took(self, bare: float, long: float) -> None:
        """The seconds of the two calls."""
        self._keep(PADDING / max(long - bare, _SHARPEST))

    def failed(self, failure: grpc.RpcError) -> None:
        """One of the calls was not answered: not in time, or not at all, and then audio goes as it is."""
        late = status.from_rpc_error(failure)
        self._keep(PADDING / PATIENCE if isinstance(late, errors.DeadlineExceededError) else float("inf"))

    def codec(self, clip: Clip) -> str | None:
        """The codec that gets the clip there; None: as it is.

        Lossless, whichever is faster, unless Opus saves half of its time and at least half a second.
        """
        lossless: dict[str | None, float] = {None: clip.size / self._rate}
        if clip.is_pcm:
            lossless["flac"] = self._time(clip, _FLAC)
        best = min(lossless, key=lambda name: lossless[name])
        saved = lossless[best] - self._time(clip, _OPUS)
        return LOSSY if saved >= max(_LEAST_GAIN, lossless[best] / 2) else best

    def _time(self, clip: Clip, cost: tuple[float, float]) -> float:
        size, encoding = cost
        return clip.seconds * (size / self._rate + encoding)

    def _keep(self, rate: float) -> None:
        self._rate, self._until = rate, self._clock() + _HOLDS
