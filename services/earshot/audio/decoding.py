"""A recording to 16-bit mono samples at 16 kHz, block by block, in bounded memory and time.

What is damaged in a sound file is left out, as players do, so that what follows moves up; the file as
a whole is refused when no more than half of its packets can be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from numpy.typing import NDArray

from earshot.audio.checks import bad_content, check_whole
from earshot.audio.formats import SAMPLE_RATE, AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.audio.opening import Source, opened
from earshot.audio.resampling import Resampler

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.packet import Packet

Samples = NDArray[np.int16]

_FULL_SCALE: Final = 32768.0
_FREE_CPU_SECONDS: Final = 10.0  # that a recording may take, however short it is
_SLOWEST_PACE: Final = 4.0  # and beyond: real recordings decode at some hundred times the pace of speech


def decode(
    data: bytes | memoryview,
    audio_format: AudioFormat,
    limits: AudioLimits,
    out: Callable[[Samples], object],
    *,
    field: str = "config",
) -> float:
    """Decodes ``data`` and hands it to ``out`` in blocks of at most a second: s16, mono, 16 kHz.

    Gives the length in seconds. ``field`` is the path of the ``RecognitionConfig`` in the request.
    Raises :class:`earshot.errors.InvalidArgumentError` (audio that cannot be used, or is not what the
    config says) and :class:`earshot.errors.OutOfRangeError` (audio that is too long); ``out`` may have
    had blocks by then. What ``out`` raises goes through.
    """
    audio_format.check(field)
    samples = 0
    with memoryview(data).cast("B") as view:
        if not view:
            raise bad_content("AUDIO_EMPTY", "content is empty: send the bytes of the recording")
        with opened(view, audio_format, field) as source:
            limits.check(source.known_seconds, source.size)
            for block in _blocks(source):
                samples += block.size
                limits.check(samples / SAMPLE_RATE, source.size)
                out(block)
            check_whole(source.stated_seconds, samples / SAMPLE_RATE)
    if not samples:
        message = "content holds no sound that can be decoded, or less than 5 ms: is it cut short?"
        raise bad_content("AUDIO_EMPTY", message)
    return samples / SAMPLE_RATE


def decode_all(
    data: bytes | memoryview, audio_format: AudioFormat, limits: AudioLimits, *, field: str = "config"
) -> Samples:
    """All of ``data`` as one array of s16 mono samples at 16 kHz; raises as :func:`decode` does."""
    heard = bytearray()
    decode(data, audio_format, limits, lambda block: heard.extend(block.data.cast("B")), field=field)
    return np.frombuffer(heard, np.int16)


@dataclass(slots=True)
class _Tally:
    """What the packets of one recording have come to, to stop those that are made to cost time."""

    size: int  # bytes of the recording
    spent: int = 0  # bytes taken from the container
    packets: int = 0
    damaged: int = 0  # packets that could not be decoded
    seconds: float = 0.0  # of sound, about
    began: float = field(default_factory=time.process_time)  # seconds of CPU, so that others cost it nothing

    def add(self, packet: Packet[AudioStream], frames: list[AudioFrame]) -> None:
        """Refuses a container that gives its bytes again and again, a sample at a time, or very slowly."""
        self.packets += 1
        self.spent += packet.size
        self.seconds += sum(frame.samples / max(frame.sample_rate, 1) for frame in frames)
        costly = self.spent > 4 * self.size + 65_536
        slow = time.process_time() - self.began > _FREE_CPU_SECONDS + self.seconds / _SLOWEST_PACE
        # The shortest packets in use are Opus's, 2.5 ms: 400 a second.
        if costly or slow or self.packets > 10_000 + 500 * self.seconds:
            self.check()
            message = "content repeats its bytes, cuts them into specks, or takes very long: encode it anew"
            raise bad_content("AUDIO_TOO_COMPLEX", message)

    def check(self) -> None:
        """Refuses a recording of which no more than half could be read."""
        if self.damaged * 2 >= max(self.packets, 1):
            message = (
                "no more than half of the audio can be decoded: content is damaged or cut, send it again"
            )
            raise bad_content("AUDIO_DAMAGED", message)


def _blocks(source: Source) -> Iterator[Samples]:
    tally, resampler = _Tally(source.size), Resampler()
    with translated():
        for frame in _frames(source, tally):
            for block in resampler.push(frame):
                yield rounded(block, source.is_pcm)
        for block in resampler.flush():
            yield rounded(block, source.is_pcm)
    tally.check()


def _frames(source: Source, tally: _Tally) -> Iterator[AudioFrame]:
    """Frames of sound, without the packets that cannot be decoded."""
    for packet in _packets(source):
        frames: list[AudioFrame] = []
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            tally.damaged += 1
        tally.add(packet, frames)
        yield from frames


def _packets(source: Source) -> Iterator[Packet[AudioStream]]:
    """Packets up to where the container ends or breaks off: what came before is still sound."""
    try:
        yield from source.container.demux(source.stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return


def rounded(block: NDArray[np.float32], is_pcm: bool) -> Samples:
    """Float to s16. What is no number is the sender's mistake in PCM, and elsewhere damage to silence."""
    if not np.isfinite(block).all():
        if is_pcm:
            message = "the audio holds samples that are not finite (NaN or Inf): correct what wrote them"
            raise bad_content("AUDIO_NOT_FINITE", message)
        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
    samples: Samples = np.clip(np.rint(block * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    return samples


@contextmanager
def translated() -> Iterator[None]:
    """Turns what ffmpeg's libraries raise over bad audio into the error of bad audio."""
    try:
        yield
    except MemoryError as exc:
        message = "decoding takes more memory than there is: encode the recording anew"
        raise bad_content("AUDIO_TOO_COMPLEX", message) from exc
    except (av.FFmpegError, ValueError, LookupError, RuntimeError, ArithmeticError) as exc:
        raise bad_content("AUDIO_DAMAGED", "the audio cannot be decoded: encode the recording anew") from exc
