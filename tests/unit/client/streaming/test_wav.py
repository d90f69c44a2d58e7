"""WAV headers, cut anywhere."""

from __future__ import annotations

import io
import struct
import wave

import pytest

from earshot.client import Encoding
from earshot.client.sources import Format
from earshot.client.streaming import wav

SAMPLES = bytes(range(200))


def _file(
    tag: int = 1,
    bits: int = 16,
    *,
    size: int | None = None,
    extension: bytes = b"",
    before: bytes = b"",
    rate: int = 8_000,
) -> bytes:
    form = struct.pack("<HHIIHH", tag, 2, rate, rate * 2 * bits // 8, 2 * bits // 8, bits) + extension
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + before
    data = struct.pack("<4sI", b"data", len(SAMPLES) if size is None else size) + SAMPLES
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + len(data), b"WAVE") + chunks + data


def _cut(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 7, 44, 1_000])
@pytest.mark.parametrize(
    ("tag", "bits", "encoding"), [(1, 16, "linear16"), (3, 32, "linear32f"), (6, 8, "alaw"), (7, 8, "mulaw")]
)
def test_the_header_is_taken_off(size: int, tag: int, bits: int, encoding: str) -> None:
    form, rest = wav.opened(_cut(_file(tag, bits), size))

    assert form == Format(Encoding(encoding), 8_000, 2)
    assert b"".join(rest) == SAMPLES


def test_the_standard_library_s_own() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(SAMPLES)

    form, rest = wav.opened([file.getvalue()])

    assert form == Format(Encoding.LINEAR16, 16_000, 1)
    assert b"".join(rest) == SAMPLES


def test_the_extended_header() -> None:
    extension = struct.pack("<HHIH14s", 22, 16, 3, 1, bytes(14))

    form, rest = wav.opened([_file(0xFFFE, 16, extension=extension)])

    assert form == Format(Encoding.LINEAR16, 8_000, 2)
    assert b"".join(rest) == SAMPLES


def test_other_chunks_are_left_out() -> None:
    odd = struct.pack("<4sI", b"LIST", 3) + b"abc\0"

    form, rest = wav.opened([_file(before=odd) + struct.pack("<4sI", b"LIST", 4) + b"tail"])

    assert form
    assert b"".join(rest) == SAMPLES


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_size_that_was_not_known_goes_up_to_the_end(size: int) -> None:
    _, rest = wav.opened([_file(size=size), b"and more"])

    assert b"".join(rest) == SAMPLES + b"and more"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"fLaC and the rest of a file",
        b"RIFF\0\0\0\0AVI and the rest of a file",
        _file(1, 24),
        _file(rate=4_000),
        _file()[:40],
    ],
    ids=["nothing", "a beginning", "FLAC", "another RIFF", "24 bits", "a rate out of bounds", "cut short"],
)
@pytest.mark.parametrize("size", [3, 1_000])
def test_all_else_is_left_as_it_is(content: bytes, size: int) -> None:
    form, rest = wav.opened(_cut(content, size))

    assert form is None
    assert b"".join(rest) == content
