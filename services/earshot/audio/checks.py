"""What a recording must be before it is decoded. Each check raises the error of one mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from earshot.audio.containers import CONTAINERS, STATED
from earshot.audio.formats import AudioFormat
from earshot.audio.sniffing import other_likeness, sound_likeness, wav_bytes_missing, wav_format
from earshot.errors import InvalidArgumentError

MIN_RATE: Final = 2_000  # hertz
MAX_RATE: Final = 768_000  # hertz
_PADDING: Final = 1024  # bytes that some writers count and do not write
MAX_CHANNELS: Final = 64  # as many as swresample mixes


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording says of itself."""

    container: str  # libav's name of its demuxer, the first where there are several
    codec: str  # libav's name of its codec, whichever decoder reads it: "opus", "pcm_s16le"
    rate: int  # hertz
    channels: int


def bad_content(reason: str, message: str) -> InvalidArgumentError:
    """The error of audio that cannot be used."""
    return InvalidArgumentError(message, reason=reason, field="content")


def check_whole(stated: float, heard: float) -> None:
    """Refuses a recording that breaks off before the end that its header states; both in seconds."""
    if heard < 0.99 * stated - 0.5:
        message = (
            f"the header states {stated:.1f} s of audio, of which {heard:.1f} s can be read: send all of it"
        )
        raise bad_content("AUDIO_TRUNCATED", message)


def check_rate(rate: int) -> None:
    """Refuses a sample rate (hertz) that no recording has."""
    if not MIN_RATE <= rate <= MAX_RATE:
        message = f"the header states a sample rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz can be read"
        raise bad_content("AUDIO_BAD_SAMPLE_RATE", f"{message}: correct the header")


def check_channels(channels: int) -> None:
    """Refuses a number of channels that cannot be mixed to one."""
    if not 1 <= channels <= MAX_CHANNELS:
        message = f"the header states {channels} channels; 1 to {MAX_CHANNELS} can be mixed to one"
        raise bad_content("AUDIO_BAD_CHANNEL_COUNT", f"{message}: correct the header")


def check_sound(data: memoryview) -> None:
    """Refuses what by its first bytes is no recording."""
    if likeness := other_likeness(data):
        message = f"content looks like {likeness}: send the bytes of the recording itself"
        raise bad_content("AUDIO_NOT_RECOGNIZED", message)


def check_likeness(data: memoryview) -> None:
    """Refuses what by its first bytes is no recording, or a WAV file with an absurd header.

    libav would refuse most of it too, but without a word on why.
    """
    check_sound(data)
    if (missing := wav_bytes_missing(data)) > _PADDING:
        message = (
            f"the header counts {missing} bytes more than there are: the file is cut short, send all of it"
        )
        raise bad_content("AUDIO_TRUNCATED", message)
    if stated := wav_format(data):
        check_channels(stated[0])
        check_rate(stated[1])


def check_raw(data: memoryview, audio_format: AudioFormat) -> None:
    """Refuses raw samples that start as a file does, or that end within a sample."""
    check_raw_start(data, audio_format)
    check_raw_size(len(data), audio_format)


def check_raw_start(data: memoryview, audio_format: AudioFormat) -> None:
    """Refuses raw samples that start as a file does."""
    if likeness := sound_likeness(data):
        message = f"content is {likeness}, not raw {audio_format.encoding}: use auto_decoding_config"
        raise bad_content("AUDIO_ENCODING_MISMATCH", message)


def check_raw_size(length: int, audio_format: AudioFormat) -> None:
    """Refuses raw samples, ``length`` bytes in all, that end within a sample."""
    encoding, size = audio_format.encoding, audio_format.frame_bytes
    if length % size:
        message = f"{length} bytes are no whole number of {encoding} samples of {size} bytes, all channels"
        raise bad_content(
            "AUDIO_PARTIAL_SAMPLE", f"{message} counted: the content is cut, or encoded otherwise"
        )


def check_stated(stated: AudioFormat, header: Header, prefix: str) -> None:
    """Refuses content that is not what the config says; ``prefix`` is the explicit config's path.

    Another encoding is an error of the content, another number one of the config.
    """
    _check_encoding(stated, header)
    # Opus has no rate of its own: any that is stated is one that it can be played at.
    if stated.sample_rate not in (0, header.rate) and header.codec != "opus":
        message = (
            f"the header says {header.rate} Hz, the config {stated.sample_rate} Hz: correct it, or use 0"
        )
        field = f"{prefix}.sample_rate_hertz"
        raise InvalidArgumentError(message, reason="SAMPLE_RATE_MISMATCH", field=field)
    if stated.channels not in (0, header.channels):
        message = (
            f"the header says {header.channels} channels, the config {stated.channels}: correct it, or use 0"
        )
        field = f"{prefix}.audio_channel_count"
        raise InvalidArgumentError(message, reason="CHANNEL_COUNT_MISMATCH", field=field)


def _check_encoding(stated: AudioFormat, header: Header) -> None:
    if stated.encoding is None:
        return
    container, codec_start = STATED[stated.encoding]
    if header.container != container or not header.codec.startswith(codec_start):
        kind = f"{CONTAINERS.get(header.container, header.container)} ({header.codec})"
        message = f"content is {kind}, not {stated.encoding} as the config says: correct it, or use auto"
        raise bad_content("AUDIO_ENCODING_MISMATCH", message)
