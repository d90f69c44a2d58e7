"""What the caller says of the audio. Knows neither ffmpeg nor NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from earshot.errors import InvalidArgumentError

SAMPLE_RATE: Final = 16_000  # hertz, of all that comes out of decoding


class Encoding(StrEnum):
    """The encodings that can be stated; values are the proto's names without their prefix."""

    LINEAR16 = "LINEAR16"  # raw signed 16-bit little-endian
    LINEAR32F = "LINEAR32F"  # raw 32-bit little-endian IEEE 754, -1 to 1
    MULAW = "MULAW"  # raw G.711 mu-law
    ALAW = "ALAW"  # raw G.711 A-law
    WAV = "WAV"
    FLAC = "FLAC"
    MP3 = "MP3"
    OGG_OPUS = "OGG_OPUS"
    WEBM_OPUS = "WEBM_OPUS"


SAMPLE_BYTES: Final = {Encoding.LINEAR16: 2, Encoding.LINEAR32F: 4, Encoding.MULAW: 1, Encoding.ALAW: 1}
"""Bytes of one sample of one channel; the encodings named here have no header."""

MIN_STATED_RATE, MAX_STATED_RATE = 8_000, 192_000  # hertz
MAX_STATED_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How the audio is encoded. All at their defaults: its own header tells."""

    encoding: Encoding | None = None  # None: by the header
    sample_rate: int = 0  # hertz; 0: by the header
    channels: int = 0  # interleaved; 0: by the header, and 1 where there is none

    @property
    def is_raw(self) -> bool:
        """Samples without a header."""
        return self.encoding in SAMPLE_BYTES

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel of a raw encoding; 0 for others."""
        return SAMPLE_BYTES[self.encoding] * (self.channels or 1) if self.encoding in SAMPLE_BYTES else 0

    def check(self, field: str = "config") -> None:
        """Refuses what can never be right, whatever the audio is.

        ``field`` is the path of the ``RecognitionConfig`` in the request. Raises
        :class:`earshot.errors.InvalidArgumentError` that names the field below it.
        """
        prefix = f"{field}.explicit_decoding_config"
        if self.encoding is None and (self.sample_rate or self.channels):
            raise InvalidArgumentError(
                "an explicit decoding config needs an encoding: state it, or use auto_decoding_config",
                reason="ENCODING_REQUIRED",
                field=f"{prefix}.encoding",
            )
        self._check_rate(f"{prefix}.sample_rate_hertz")
        self._check_channels(f"{prefix}.audio_channel_count")

    def _check_rate(self, field: str) -> None:
        if self.is_raw and not self.sample_rate:
            message = f"{self.encoding} has no header to tell its sample rate: state it"
            raise InvalidArgumentError(message, reason="SAMPLE_RATE_REQUIRED", field=field)
        if self.sample_rate and not MIN_STATED_RATE <= self.sample_rate <= MAX_STATED_RATE:
            message = (
                f"a sample rate of {self.sample_rate} Hz is out of range: "
                f"state one of {MIN_STATED_RATE} to {MAX_STATED_RATE} Hz"
            )
            raise InvalidArgumentError(message, reason="SAMPLE_RATE_OUT_OF_RANGE", field=field)

    def _check_channels(self, field: str) -> None:
        if not 0 <= self.channels <= MAX_STATED_CHANNELS:
            message = f"{self.channels} channels are out of range: state 1 to {MAX_STATED_CHANNELS}"
            raise InvalidArgumentError(message, reason="CHANNEL_COUNT_OUT_OF_RANGE", field=field)
