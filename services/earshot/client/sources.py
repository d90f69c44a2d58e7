"""Audio from wherever a program has it, to the bytes and the encoding that a request carries."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from earshot import errors
from earshot.client import arrays
from earshot.client.connection import too_large
from earshot.client.options import AudioOptions, Encoding

if TYPE_CHECKING:
    from collections.abc import Callable


@runtime_checkable
class BinaryReader(Protocol):
    """A file object opened for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


Buffer: TypeAlias = bytes | bytearray | memoryview

# A path; a whole file or raw samples in memory; an open file; PCM piece by piece; a NumPy array
# of int16, or of float32 or float64 in -1 to 1, shaped (frames,) or (frames, channels).
Source: TypeAlias = str | os.PathLike[str] | Buffer | BinaryReader | Iterable[Buffer] | arrays.Array
AsyncSource: TypeAlias = Source | AsyncIterable[Buffer]

FIELD: Final = "content"


@dataclass(frozen=True, slots=True)
class Format:
    """What the bytes are."""

    encoding: Encoding | None = None  # None: the header says
    sample_rate: int = 0  # hertz; 0: the header says
    channels: int = 0  # 0: 1 for raw samples, else the header says

    @property
    def is_raw(self) -> bool:
        """Samples without a header."""
        return self.encoding is not None and self.encoding.is_raw


@dataclass(frozen=True, slots=True)
class Audio:
    """The bytes to send, and what they are, as in Format."""

    content: bytes
    encoding: Encoding | None = None
    sample_rate: int = 0
    channels: int = 0


def load(source: Source, options: AudioOptions, limit: int) -> Audio:
    """Reads ``source`` to its end; never more than ``limit`` bytes of it.

    Raises NotFoundError for a file that is not there, OutOfRangeError past the limit, and
    InvalidArgumentError for what is empty, of a wrong type, or raw without a sample rate.
    """
    if isinstance(source, str | os.PathLike):
        return _described(_read_path(Path(source), limit), options)
    if isinstance(source, Buffer):
        return _described(bytes(source), options)
    if arrays.is_array(source):
        return _from_array(source, options)
    if isinstance(source, BinaryReader):
        return _described(_read_file(source, limit), options)
    if isinstance(source, Iterable):
        return _pcm(_join(source, limit), options)
    raise wrong_type(source)


async def load_async(source: AsyncIterable[Buffer], options: AudioOptions, limit: int) -> Audio:
    """The same as :func:`load`, for PCM that comes by an async iterator."""
    pieces = _Pieces(limit)
    async for piece in source:
        pieces.add(piece)
    return _pcm(pieces.content(), options)


def _read_path(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_file(file, limit)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> errors.EarshotError:
    """The error of a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return errors.NotFoundError(f"there is no file {path}", reason="NO_SUCH_FILE", field=FIELD)
    message = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
    return errors.InvalidArgumentError(message, reason="UNREADABLE_FILE", field=FIELD)


def _read_file(file: BinaryReader, limit: int) -> bytes:
    # A raw or a network file may give less than asked for before its end.
    return _join(iter(_reader(file, limit), b""), limit)


def _reader(file: BinaryReader, limit: int) -> Callable[[], Buffer]:
    def read() -> Buffer:
        piece = file.read(limit + 1)
        if isinstance(piece, str):
            raise errors.InvalidArgumentError(
                "the file object gives text: open it with mode 'rb'", reason="NOT_BYTES", field=FIELD
            )
        return piece

    return read


def _join(pieces: Iterable[Any], limit: int) -> bytes:
    joined = _Pieces(limit)
    for piece in pieces:
        joined.add(piece)
    return joined.content()


def checked(piece: object) -> Buffer:
    """The piece, where it is bytes; raises InvalidArgumentError where not."""
    if isinstance(piece, Buffer):
        return piece
    message = f"each piece must be bytes, not {type(piece).__name__}"
    raise errors.InvalidArgumentError(message, reason="NOT_BYTES", field=FIELD)


class _Pieces:
    """Bytes as they come, up to a limit: an endless source is refused instead of filling memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()

    def add(self, piece: object) -> None:
        self._content += checked(piece)
        if len(self._content) > self._limit:
            raise too_large(len(self._content), self._limit)

    def content(self) -> bytes:
        return bytes(self._content)


def _pcm(content: bytes, options: AudioOptions) -> Audio:
    encoding = options.get("encoding") or Encoding.LINEAR16
    return _described(content, {**options, "encoding": encoding})


def _from_array(array: arrays.Array, options: AudioOptions) -> Audio:
    content, form = array_samples(array, options)
    return Audio(content, form.encoding, form.sample_rate, form.channels)


def array_samples(array: arrays.Array, options: AudioOptions) -> tuple[bytes, Format]:
    """The array as raw samples; raises InvalidArgumentError for what it cannot be."""
    if options.get("encoding") not in {None, Encoding.LINEAR16}:
        raise errors.InvalidArgumentError(
            "an array goes as linear16: leave the encoding out",
            field="config.explicit_decoding_config.encoding",
        )
    content, channels = arrays.to_linear16(array, options.get("channels", 0))
    return content, stated({**options, "encoding": Encoding.LINEAR16, "channels": channels})


def _described(content: bytes, options: AudioOptions) -> Audio:
    if not content:
        raise errors.InvalidArgumentError("the audio is empty", reason="EMPTY_AUDIO", field=FIELD)
    form = stated(options)
    return Audio(content, form.encoding, form.sample_rate, form.channels)


def stated(options: AudioOptions) -> Format:
    """The format that the options state; raises InvalidArgumentError where they are at odds."""
    encoding = _encoding(options.get("encoding"))
    rate, channels = options.get("sample_rate", 0), options.get("channels", 0)
    if encoding is None and (rate or channels):
        raise errors.InvalidArgumentError(
            "sample_rate and channels are for raw samples: state the encoding too, or leave them out",
            field="config.explicit_decoding_config.encoding",
        )
    if encoding is not None and encoding.is_raw and not rate:
        raise errors.InvalidArgumentError(
            f"{encoding} samples have no header: state sample_rate, in hertz",
            field="config.explicit_decoding_config.sample_rate_hertz",
        )
    return Format(encoding, rate, channels)


def _encoding(value: Encoding | str | None) -> Encoding | None:
    try:
        return None if value is None else Encoding(value)
    except ValueError as error:
        raise errors.InvalidArgumentError(
            f"there is no encoding {value!r}; there are {', '.join(Encoding)}",
            field="config.explicit_decoding_config.encoding",
        ) from error


def wrong_type(source: object) -> errors.InvalidArgumentError:
    """The error of what is no source of audio."""
    return errors.InvalidArgumentError(
        f"audio cannot be read from {type(source).__name__}: give a path, bytes, a binary file, an iterable "
        "of bytes or a NumPy array",
        reason="NOT_AUDIO",
        field=FIELD,
    )
