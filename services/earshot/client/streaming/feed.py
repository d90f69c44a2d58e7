"""Any source as one thing: pieces of bytes, what they are, and whether they can be had again."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from earshot.client import arrays, sources
from earshot.client.options import Encoding
from earshot.client.sources import Buffer, Format
from earshot.client.streaming import transcoding, wav
from earshot.client.streaming.microphone import Microphone
from earshot.client.streaming.pulling import PIECE, Puller, cut, cut_async, paced

if TYPE_CHECKING:
    from earshot.client.options import AudioOptions, StreamOptions

_FRAME = {Encoding.LINEAR16: 2, Encoding.LINEAR32F: 4, Encoding.MULAW: 1, Encoding.ALAW: 1}


@dataclass(frozen=True, slots=True)
class Feed:
    """A source that has been opened."""

    form: Format  # of the pieces
    pieces: Callable[[], AsyncIterator[bytes]]  # from the beginning; to be called once, unless it rewinds
    rewinds: bool = False
    waits: bool = False  # loses nothing by waiting, and need not be read ahead


async def opened(source: sources.AsyncSource, options: StreamOptions, puller: Puller) -> Feed:
    """Opens the source, and reads its header where that helps.

    Raises NotFoundError and InvalidArgumentError as :func:`sources.load` does, and
    FailedPreconditionError where a library is missing.
    """
    if isinstance(source, AsyncIterable):
        feed = await _from_async(source, options, puller)
    else:
        form, pieces = await puller.call(partial(_opened, source, options))
        again = partial(_again, source, options)
        rewinds = not form.is_raw and _is_at_hand(source)
        feed = Feed(
            form,
            lambda: puller.iterate(again() if rewinds else pieces),
            rewinds=rewinds,
            waits=_is_at_hand(source),
        )
    return _in_real_time(feed) if options.get("realtime") else feed


async def _from_async(source: AsyncIterable[Buffer], options: StreamOptions, puller: Puller) -> Feed:
    form = transcoding.PCM if isinstance(source, Microphone) else _stated_raw(options)
    checked = _checked(source)
    if not _needs_decoding(form, options):
        return Feed(form, lambda: cut_async(checked))
    bridged = _bridged(checked, asyncio.get_running_loop())
    return Feed(transcoding.PCM, lambda: puller.iterate(transcoding.decode(bridged, form)))


def _opened(source: sources.Source, options: StreamOptions) -> tuple[Format, Iterator[bytes]]:
    form, found = _bytes_of(source, options)
    if not _needs_decoding(form, options):
        return form, cut(found)
    # A file at hand is read in its own order: some formats have their index at the end.
    seekable = not form.is_raw and _is_at_hand(source)
    return transcoding.PCM, cut(_decoded(source, form) if seekable else transcoding.decode(found, form))


def samples(source: sources.Source, options: AudioOptions) -> Iterator[bytes]:
    """All of the source, whole, as an encoder takes it: s16, mono, 16 kHz; raises as :func:`opened` does."""
    return _opened(source, cast("StreamOptions", {**options, "codec": "any"}))[1]


def _decoded(source: Any, form: Format) -> Iterator[bytes]:  # noqa: ANN401 - any source
    with _file(source) as file:
        yield from transcoding.decode(file, form)


def _again(source: sources.Source, options: StreamOptions) -> Iterator[bytes]:
    return _opened(source, options)[1]


def _needs_decoding(form: Format, options: StreamOptions) -> bool:
    if options.get("codec"):
        return form not in {transcoding.PCM, Format(Encoding.LINEAR16, transcoding.PCM.sample_rate, 0)}
    return bool(options.get("realtime")) and not form.is_raw


def _bytes_of(source: Any, options: StreamOptions) -> tuple[Format, Iterator[bytes]]:  # noqa: ANN401
    if arrays.is_array(source):
        content, form = sources.array_samples(source, options)
        return form, iter([content])
    if isinstance(source, str | os.PathLike | Buffer | sources.BinaryReader):
        form, pieces = sources.stated(options), _pieces(source)
        return _without_header(pieces) if form.encoding in {None, Encoding.WAV} else (form, pieces)
    if isinstance(source, Iterable):
        return _stated_raw(options), map(_as_bytes, source)
    raise sources.wrong_type(source)


def _without_header(pieces: Iterator[bytes]) -> tuple[Format, Iterator[bytes]]:
    form, rest = wav.opened(pieces)
    return form or Format(), rest


def _stated_raw(options: StreamOptions) -> Format:
    encoding = options.get("encoding") or Encoding.LINEAR16
    return sources.stated(cast("AudioOptions", {**options, "encoding": encoding}))


def _is_at_hand(source: Any) -> bool:  # noqa: ANN401 - any source
    """Whole, here, and readable as often as one likes."""
    if isinstance(source, str | os.PathLike):
        return Path(source).is_file()
    return isinstance(source, Buffer) or arrays.is_array(source)


def _file(source: Any) -> Any:  # noqa: ANN401 - any binary file
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).open("rb")
        except (OSError, ValueError) as error:
            raise sources.unreadable(Path(source), error) from error
    return io.BytesIO(source) if isinstance(source, Buffer) else source


def _pieces(source: Any) -> Iterator[bytes]:  # noqa: ANN401 - any binary file
    is_path = isinstance(source, str | os.PathLike)
    return _read_at(source) if is_path and _is_at_hand(source) else _read(_file(source), source)


def _read_at(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The file is open only while it is read: a stream that is left in its middle leaves none open."""
    at = 0
    while piece := _piece_at(path, at):
        at += len(piece)
        yield piece


def _piece_at(path: str | os.PathLike[str], at: int) -> bytes:
    try:
        with _file(path) as file:
            file.seek(at)
            return bytes(file.read(PIECE))
    except OSError as error:
        raise sources.unreadable(Path(path), error) from error


def _read(file: Any, source: Any) -> Iterator[bytes]:  # noqa: ANN401 - any binary file, any source
    # What a pipe has now, and not what it will have when the buffer is full.
    read = file.read if _is_at_hand(source) else getattr(file, "read1", file.read)
    try:
        while piece := read(PIECE):
            yield _as_bytes(piece)
    except OSError as error:
        raise sources.unreadable(Path(str(getattr(file, "name", "the source"))), error) from error
    finally:
        if file is not source:
            file.close()


def _as_bytes(piece: object) -> bytes:
    return bytes(sources.checked(piece))


async def _checked(source: AsyncIterable[Buffer]) -> AsyncIterator[bytes]:
    async for piece in source:
        yield _as_bytes(piece)


def _bridged(pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The pieces for another thread than the loop's."""

    async def piece() -> bytes | None:
        return await anext(pieces, None)

    while (found := asyncio.run_coroutine_threadsafe(piece(), loop).result()) is not None:
        yield found


def _in_real_time(feed: Feed) -> Feed:
    if feed.form.encoding is None or not feed.form.is_raw:  # an iterator of a file's bytes has its own pace
        return feed
    frame = _FRAME[feed.form.encoding] * (feed.form.channels or 1)
    return Feed(feed.form, lambda: paced(feed.pieces(), (frame, feed.form.sample_rate)))
