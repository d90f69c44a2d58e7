"""Opens a recording in memory with ffmpeg's libraries, as the work of a stranger.

It is read from memory only: no protocol may be opened, so that a playlist or a reference in it reaches
no file and no network. Only demuxers of real recordings and decoders of sound are let near it, which
also leaves the video of a film untouched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av
from av.stream import Discard

from earshot.audio.checks import (
    Header,
    bad_content,
    check_channels,
    check_likeness,
    check_rate,
    check_raw,
    check_stated,
)
from earshot.audio.containers import COUNTED, DECODERS, OPEN_OPTIONS, PCM_BYTES, RAW_DEMUXERS, SAMPLES_ONLY
from earshot.audio.formats import AudioFormat
from earshot.audio.sniffing import sound_likeness
from earshot.errors import InvalidArgumentError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_OPUS_PRE_SKIP: Final = 1.5  # seconds: 65535 samples at 48 kHz at most (RFC 7845), which Ogg's length counts


@dataclass(frozen=True, slots=True)
class Source:
    """An open recording: its first stream of sound, and the number of bytes that all of it is."""

    container: InputContainer
    stream: AudioStream
    header: Header
    size: int

    @property
    def is_pcm(self) -> bool:
        """The samples are in the content as they are."""
        return self.header.codec in PCM_BYTES

    @property
    def stated_seconds(self) -> float:
        """How long the audio is by a header that counts samples; 0 where there is none."""
        if self.header.container not in COUNTED:
            return 0.0
        return max(0.0, float((self.stream.duration or 0) * (self.stream.time_base or 0)))

    @property
    def known_seconds(self) -> float:
        """The least that the audio lasts, where that is sure before decoding; else 0.

        Sure are plain samples, by their bytes, and Ogg, by the last page, which carries a checksum.
        A header alone may lie.
        """
        stated = max(0.0, float((self.stream.duration or 0) * (self.stream.time_base or 0)))
        if self.is_pcm and self.header.container in SAMPLES_ONLY:
            per_second = self.header.rate * self.header.channels * PCM_BYTES[self.header.codec]
            return min(stated, self.size / per_second)
        return max(0.0, stated - _OPUS_PRE_SKIP) if self.header.container == "ogg" else 0.0


@contextmanager
def opened(data: memoryview, audio_format: AudioFormat, field: str) -> Iterator[Source]:
    """Opens ``data`` and checks that it is what ``audio_format`` says.

    ``field`` is the path of the ``RecognitionConfig`` in the request. Raises
    :class:`earshot.errors.InvalidArgumentError`.
    """
    if audio_format.is_raw:
        check_raw(data, audio_format)
    else:
        check_likeness(data)
    with _container(data, audio_format) as container:
        yield sound_in(container, audio_format, field, len(data))


def sound_in(container: InputContainer, audio_format: AudioFormat, field: str, size: int = 0) -> Source:
    """The sound of an open container of ``size`` bytes, checked as :func:`opened` does."""
    stream = _only_sound(container)
    header = _header(container, stream)
    if not audio_format.is_raw:
        check_stated(audio_format, header, f"{field}.explicit_decoding_config")
    return Source(container, stream, header, size)


class _Memory:
    """The file that libav reads: a window on bytes that are never copied whole."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> bytes:
        block = bytes(self._data[self._at : self._at + size])
        self._at += len(block)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, len(self._data))[whence])
        return self._at

    def tell(self) -> int:
        return self._at


def _container(data: memoryview, audio_format: AudioFormat) -> InputContainer:
    options, demuxer = dict(OPEN_OPTIONS), None
    if audio_format.encoding in RAW_DEMUXERS:
        demuxer = RAW_DEMUXERS[audio_format.encoding]
        options["sample_rate"] = str(audio_format.sample_rate)
        options["ch_layout"] = f"{audio_format.channels or 1} channels"
    return open_file(_Memory(data), data, demuxer, options)


def open_file(file: object, head: memoryview, demuxer: str | None, options: dict[str, str]) -> InputContainer:
    """Opens what libav reads from ``file`` by its ``read``, and by ``seek`` and ``tell`` where it has them.

    ``head`` is how it starts, for the error's words; ``demuxer`` None: what libav takes it for.
    """
    try:
        container: InputContainer = av.open(
            file, "r", format=demuxer, container_options=options, metadata_errors="replace"
        )
    except MemoryError as exc:
        message = "content declares more than memory can hold: encode the recording anew"
        raise bad_content("AUDIO_TOO_COMPLEX", message) from exc
    except (av.FFmpegError, ValueError, LookupError, RuntimeError) as exc:
        raise _unreadable(head) from exc
    return container


def _unreadable(data: memoryview) -> InvalidArgumentError:
    if likeness := sound_likeness(data):
        message = f"content starts as {likeness}, but is cut short or damaged: send all of it"
        return bad_content("AUDIO_DAMAGED", message)
    message = "content is in no audio format that is known here: send WAV, FLAC, MP3, Ogg, WebM or MP4, or "
    return bad_content("AUDIO_NOT_RECOGNIZED", message + "raw samples with an explicit_decoding_config")


def _only_sound(container: InputContainer) -> AudioStream:
    """The first stream of sound; packets of all others are passed over."""
    if not container.streams.audio:
        message = "content holds no stream of sound: send a recording with an audio track"
        raise bad_content("AUDIO_STREAM_MISSING", message)
    first = container.streams.audio[0]
    for stream in container.streams:
        if stream is not first:
            stream.discard = Discard.all
    return first


def _header(container: InputContainer, stream: AudioStream) -> Header:
    context = stream.codec_context
    codec = context and context.codec  # no context where libav has no decoder at all
    if not codec or codec.name not in DECODERS:
        name = codec.canonical_name if codec else "unknown"
        message = f"the codec of the audio ({name}) cannot be read: send FLAC, WAV, MP3, AAC or Opus"
        raise bad_content("AUDIO_CODEC_UNSUPPORTED", message)
    name = container.format.name.partition(",")[0]
    header = Header(name, codec.canonical_name, context.sample_rate, context.layout.nb_channels)
    check_rate(header.rate)  # first: without a rate libav forgets the channels too
    check_channels(header.channels)
    return header
