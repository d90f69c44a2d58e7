"""WAV headers (RIFF; Microsoft's Multimedia Programming Interface 1.0, 1991), read as the bytes come.

Samples without their header can be sent again from their middle; a file with a header cannot.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from earshot.client.options import Encoding
from earshot.client.sources import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# By the format's tag and its bits per sample; what is not here is left to the service.
_ENCODINGS: Final = {
    (1, 16): Encoding.LINEAR16,
    (3, 32): Encoding.LINEAR32F,
    (6, 8): Encoding.ALAW,
    (7, 8): Encoding.MULAW,
}
_EXTENSIBLE: Final = 0xFFFE
_LONGEST_HEADER: Final = 64 * 1024
_UNKNOWN_SIZES: Final = frozenset([0, 0xFFFFFFFF, 0x7FFFFFFF])  # written before the end was known


@dataclass(frozen=True, slots=True)
class _Header:
    form: Format
    start: int  # of the samples, in bytes
    size: int | None  # of the samples; None: up to the end


def opened(pieces: Iterable[bytes]) -> tuple[Format | None, Iterator[bytes]]:
    """The format and the raw samples of a WAV file; None and the same bytes for all else."""
    rest = iter(pieces)
    begin = bytearray()
    header: _Header | None = None
    for piece in rest:
        begin += piece
        header = _header(begin)
        if header is not None or len(begin) > _LONGEST_HEADER or not _may_be_wav(begin):
            break
    if header is None:
        return None, chain([bytes(begin)] if begin else [], rest)
    return header.form, _samples(bytes(begin[header.start :]), rest, header.size)


def _samples(first: bytes, rest: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    left = size
    for piece in chain([first], rest):
        taken = piece if left is None else piece[:left]
        if taken:
            yield taken
        if left is not None:
            left -= len(taken)
            if not left:
                return


def _may_be_wav(begin: bytes | bytearray) -> bool:
    return begin[:4] == b"RIFF"[: len(begin)] and begin[8:12] == b"WAVE"[: max(0, len(begin) - 8)]


def _header(begin: bytes | bytearray) -> _Header | None:
    """The header, once it is whole and of a kind that we know."""
    if len(begin) < 12 or not _may_be_wav(begin):
        return None
    form, at = None, 12
    while at + 8 <= len(begin):
        name, size = struct.unpack_from("<4sI", begin, at)
        at += 8
        if name == b"data":
            return _Header(form, at, None if size in _UNKNOWN_SIZES else size) if form else None
        if name == b"fmt " and at + min(size, 40) <= len(begin):
            form = _format(bytes(islice(begin, at, at + size)))
        at += size + size % 2
    return None


def _format(chunk: bytes) -> Format | None:
    if len(chunk) < 16:
        return None
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None or not (1 <= channels <= 8 and 8_000 <= rate <= 192_000):
        return None
    return Format(encoding, rate, channels)
