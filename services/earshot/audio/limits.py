"""How much audio one request may hold. Knows neither ffmpeg nor NumPy."""

from __future__ import annotations

from dataclasses import dataclass

from earshot.errors import InvalidArgumentError, OutOfRangeError


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """A small file must not become hours, and no file more than ``max_seconds``.

    The defaults leave room for the thinnest speech there is: 0.05 s a byte is 160 bit/s, a
    hundredth of what telephone codecs take, and nearly that of Opus sending only silence.
    """

    max_seconds: float = 3600.0
    free_seconds: float = 60.0  # however few the bytes are
    seconds_per_byte: float = 0.05  # beyond the free ones

    def allow(self, seconds: float, size: int) -> bool:
        """Whether ``size`` bytes may decode to ``seconds`` of audio."""
        return seconds <= min(self._expected(size), self.max_seconds)

    def check(self, seconds: float, size: int) -> None:
        """Refuses ``size`` bytes that decode to ``seconds`` of audio, or have so far.

        Raises :class:`OutOfRangeError` for audio that is too long and
        :class:`InvalidArgumentError` for audio too long for its bytes; ``field`` is ``content``.
        """
        if self.allow(seconds, size):
            return
        expected = self._expected(size)
        if expected < self.max_seconds:
            message = f"{size} bytes decode to more than {expected:.0f} s of audio: split it"
            raise InvalidArgumentError(message, reason="AUDIO_EXPANDS_TOO_MUCH", field="content")
        message = (
            f"the audio is longer than {self.max_seconds:g} s, the most in a request: split or stream it"
        )
        raise OutOfRangeError(message, reason="AUDIO_TOO_LONG", field="content")

    def _expected(self, size: int) -> float:
        return self.free_seconds + size * self.seconds_per_byte


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How far the bytes of a stream may expand. How long the stream is matters to nobody."""

    free_seconds: float = 60.0  # at once, however few the bytes are
    seconds_per_byte: float = 0.05  # beyond the free ones, of the bytes that came last


class Allowance:
    """What the bytes of one stream that have come may still decode to, in seconds.

    Bytes that came long ago count no more, or an hour of them would pay for a bomb.
    """

    def __init__(self, limits: LiveLimits) -> None:
        self._limits, self._left = limits, limits.free_seconds

    def add(self, size: int) -> None:
        """``size`` bytes have come."""
        self._left = min(self._left, self._limits.free_seconds) + size * self._limits.seconds_per_byte

    def spend(self, seconds: float) -> None:
        """Counts ``seconds`` of audio; raises :class:`InvalidArgumentError` when they are too many."""
        self._left -= seconds
        if self._left < 0:
            message = "a few bytes decode to minutes of audio: encode it anew, in shorter frames"
            raise InvalidArgumentError(message, reason="AUDIO_EXPANDS_TOO_MUCH", field="content")
