"""Clips made smaller before they are sent, by a codec that is named or by one that the link calls for.

What goes is what the service would have made of it anyway: one channel at 16 kHz. FLAC is the same to the
sample; Opus (RFC 6716) is a tenth of it and may change a word. Files that are small by loss already, as MP3,
are sent as they are by ``auto``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.client import link, sources
from earshot.client.connection import too_large
from earshot.client.options import Encoding
from earshot.client.sources import Audio, Format
from earshot.client.streaming import feed, transcoding, wav

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earshot.client.options import ClipOptions

AUTO: Final = "auto"

_WIDTHS: Final = {Encoding.LINEAR16: 2, Encoding.LINEAR32F: 4}  # bytes of a sample
_FLAC_RATE: Final = 16_000  # bytes a second, about, at 16 kHz and one channel


def load(source: sources.Source, options: ClipOptions, limit: int) -> Audio:
    """Reads ``source`` to its end, and encodes it where ``codec`` names one.

    ``limit`` is for what is sent: an hour's WAV file may well fit as Opus. Raises as
    :func:`earshot.client.sources.load` does, InvalidArgumentError for a codec that there is not, and
    FailedPreconditionError without the library that encodes.
    """
    name = options.get("codec")
    if name == AUTO:
        return _what_fits(source, options, limit)
    if not name:
        return sources.load(source, options, limit)
    return _encoded(name, feed.samples(source, options), limit)


def again(audio: Audio, name: str, limit: int) -> Audio:
    """Audio that was loaded already, by a codec; raises as :func:`load` does."""
    stated: ClipOptions = {
        "encoding": audio.encoding,
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "codec": name,
    }
    return load(audio.content, stated, limit)


def fitting(audio: Audio, name: str | None, limit: int) -> Audio:
    """The same by the codec that the link calls for; as it is for None, and where no codec can be had."""
    try:
        return again(audio, name, limit) if name else audio
    except (errors.FailedPreconditionError, errors.InvalidArgumentError):
        return audio  # nobody has asked for this codec, and the service may be able to read it


def _what_fits(source: sources.Source, options: ClipOptions, limit: int) -> Audio:
    """As it is; what is too large for that as FLAC, else as Opus, where it can be read again."""
    try:
        return sources.load(source, options, limit)
    except errors.OutOfRangeError:
        if not isinstance(source, str | os.PathLike | sources.Buffer):
            raise
        for name in ("flac", link.LOSSY):
            with suppress(errors.OutOfRangeError, errors.FailedPreconditionError):
                return load(source, {**options, "codec": name}, limit)
        raise


def _encoded(name: str, samples: Iterator[bytes], limit: int) -> Audio:
    codec = transcoding.codec(name, live=False)
    encoder, content = codec.new(), bytearray()
    for piece in samples:
        content += encoder.encode(piece)
        if len(content) > limit:
            raise too_large(len(content), limit)
    content += encoder.finish()
    return Audio(bytes(content), codec.encoding)


def clip_of(audio: Audio) -> link.Clip | None:
    """What ``auto`` weighs; None for what is small, or not to be encoded again."""
    size = len(audio.content)
    if size <= link.SMALL:
        return None
    form = Format(audio.encoding, audio.sample_rate, audio.channels)
    if form.encoding in {None, Encoding.WAV}:
        form = wav.opened([audio.content])[0] or form
    if form.encoding in _WIDTHS:
        return link.Clip(
            size, size / (form.sample_rate * (form.channels or 1) * _WIDTHS[form.encoding]), True
        )
    if form.encoding is Encoding.FLAC or audio.content[:4] == b"fLaC":
        return link.Clip(size, size / _FLAC_RATE, is_pcm=False)
    return None


def is_wanted(options: ClipOptions) -> bool:
    """Whether the link is to decide."""
    return options.get("codec") == AUTO
