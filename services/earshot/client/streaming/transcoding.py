"""Audio made into other audio before it is sent; needs the extra ``codecs`` (PyAV), imported when used."""

# ruff: noqa: PLC0415 - an extra's library is imported where it is needed

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from earshot import errors
from earshot.client.options import Encoding
from earshot.client.sources import FIELD, Format
from earshot.client.streaming.backlog import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

PCM: Final = Format(Encoding.LINEAR16, SAMPLE_RATE, 1)  # what decoding makes, and encoders take

_OPUS_RATES: Final = range(6_000, 256_001)  # bit/s for one channel
_RATE_DIGITS: Final = 6
_DEMUXERS: Final = {
    Encoding.LINEAR16: "s16le",
    Encoding.LINEAR32F: "f32le",
    Encoding.MULAW: "mulaw",
    Encoding.ALAW: "alaw",
}


@dataclass(frozen=True, slots=True)
class Codec:
    """How to encode, and how it is told to the service."""

    encoding: Encoding
    muxer: str
    encoder: str
    bit_rate: int | None
    muxer_options: dict[str, str]
    encoder_options: dict[str, str]

    def new(self) -> FileEncoder:
        """An encoder at its beginning; raises FailedPreconditionError without the library."""
        return FileEncoder(self)


def codec(name: str, *, live: bool = True) -> Codec:
    """The codec of ``opus``, ``opus:24k`` (bit/s) or ``flac``; raises InvalidArgumentError for others.

    ``live``: pages and blocks are short, so that what was said leaves at once: at most 100 ms wait in
    them. Else they are as long as the format has them, which takes fewer bytes.
    """
    kind, _, rate = name.partition(":")
    if kind == "flac" and not rate:
        muxer = {"flush_packets": "1", "metadata_header_padding": "0"}
        block = {"frame_size": "1600"} if live else {}
        return Codec(Encoding.FLAC, "flac", "flac", None, muxer, block)
    if kind == "opus":
        muxer = {"flush_packets": "1", "page_duration": "100000"} if live else {}
        options = {"application": "voip", "frame_duration": "20"}
        return Codec(Encoding.OGG_OPUS, "ogg", "libopus", _bit_rate(rate), muxer, options)
    raise errors.InvalidArgumentError(
        f"there is no codec {name!r}: give 'opus', 'opus:24k' or 'flac' (or for a clip 'auto')",
        reason="NO_SUCH_CODEC",
        field="codec",
    )


def _bit_rate(text: str) -> int:
    number = text.removesuffix("k")
    is_number = number.isdecimal() and len(number) <= _RATE_DIGITS  # int() raises at thousands of them
    rate = int(number) * (1000 if text.endswith("k") else 1) if is_number else 0
    if not text:
        return 24_000
    if rate not in _OPUS_RATES:
        raise errors.InvalidArgumentError(
            f"{text!r} is no bit rate for Opus: give 6k to 256k, as in 'opus:24k'",
            reason="NO_SUCH_CODEC",
            field="codec",
        )
    return rate


class _Sink:
    """A file that can only be written on: what the muxer has made ready."""

    def __init__(self) -> None:
        self._ready = bytearray()

    def write(self, content: bytes) -> int:
        self._ready += content
        return len(content)

    def take(self) -> bytes:
        taken = bytes(self._ready)
        self._ready.clear()
        return taken


class FileEncoder:
    """Makes one file of samples, piece by piece."""

    def __init__(self, kind: Codec) -> None:
        av = library()
        self._sink = _Sink()
        self._container = av.open(self._sink, "w", format=kind.muxer, options=kind.muxer_options)
        self._stream = self._container.add_stream(
            kind.encoder, rate=SAMPLE_RATE, layout="mono", options=kind.encoder_options
        )
        self._stream.codec_context.format = "s16"
        if kind.bit_rate is not None:
            self._stream.codec_context.bit_rate = kind.bit_rate
        self._new_frame = av.AudioFrame
        self._at = 0  # samples

    def encode(self, samples: bytes) -> bytes:
        """What of the file has become ready; ``samples`` are s16, mono, 16 kHz."""
        count = len(samples) // 2
        frame = self._new_frame(format="s16", layout="mono", samples=count)
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._at
        # The frame's memory may be longer than its samples.
        frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
        self._at += count
        self._mux(frame)
        return self._sink.take()

    def finish(self) -> bytes:
        """The rest of the file."""
        self._mux(None)
        self._container.close()
        return self._sink.take()

    def _mux(self, frame: Any) -> None:  # noqa: ANN401 - the library is not there to name the type
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


class _Reader:
    """A file that can only be read on, of bytes as they come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        self._left = self._left or next(self._pieces, b"")
        taken, self._left = self._left[:size], self._left[size:]
        return taken


def decode(source: Any, form: Format) -> Iterator[bytes]:  # noqa: ANN401 - a file, or an iterator
    """The samples of ``source`` as s16, mono, 16 kHz, as they come.

    ``source`` is a binary file at its beginning, or an iterator of bytes; it is decoded as far as it
    has come. Raises InvalidArgumentError for what is no audio.
    """
    av = library()
    file = source if hasattr(source, "read") else _Reader(source)
    try:
        with av.open(file, **_how(form)) as container:
            if not container.streams.audio:
                raise _undecodable("it has no audio track")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in container.decode(container.streams.audio[0]):
                yield from map(_content, resampler.resample(frame))
            yield from map(_content, resampler.resample(None))
    except av.FFmpegError as error:
        raise _undecodable(str(error.strerror)) from error


def library() -> Any:  # noqa: ANN401 - a module
    """PyAV; raises FailedPreconditionError, which says how to get it, where it is missing."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise errors.FailedPreconditionError(
            f"to decode and encode, the client needs the library av: {errors.how_to_install('codecs')}",
            reason="LIBRARY_MISSING",
        ) from error
    return av


def _how(form: Format) -> dict[str, Any]:
    if not form.is_raw or form.encoding is None:
        return {}
    layout = f"{form.channels or 1}c"
    options = {"sample_rate": str(form.sample_rate), "ch_layout": layout}
    return {"format": _DEMUXERS[form.encoding], "options": options}


def _content(frame: Any) -> bytes:  # noqa: ANN401 - the library is not there to name the type
    return bytes(frame.planes[0])[: frame.samples * 2]


def _undecodable(why: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        f"the audio cannot be decoded: {why}", reason="UNDECODABLE_AUDIO", field=FIELD
    )
