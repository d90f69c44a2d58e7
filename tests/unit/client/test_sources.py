"""Audio from every kind of source, and what is refused before it is sent."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot.client.options import Encoding
from earshot.client.sources import Audio, load, load_async
from earshot.errors import EarshotError, InvalidArgumentError, NotFoundError, OutOfRangeError

LIMIT = 1000
PCM: dict[str, Any] = {"sample_rate": 8000}


class Trickle(io.RawIOBase):
    """A file that gives fewer bytes than it is asked for."""

    def __init__(self) -> None:
        self._pieces = [b"one ", b"two ", b"three"]

    def read(self, size: int = -1, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def _path(folder: Path) -> Path:
    path = folder / "clip.wav"
    path.write_bytes(b"audio")
    return path


@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param(_path, b"audio", id="Path"),
        pytest.param(lambda folder: str(_path(folder)), b"audio", id="str"),
        pytest.param(lambda folder: b"audio", b"audio", id="bytes"),
        pytest.param(lambda folder: bytearray(b"audio"), b"audio", id="bytearray"),
        pytest.param(lambda folder: memoryview(b"audio"), b"audio", id="memoryview"),
        pytest.param(lambda folder: io.BytesIO(b"audio"), b"audio", id="file object"),
        pytest.param(lambda folder: Trickle(), b"one two three", id="slow file object"),
    ],
)
def test_whole_files(tmp_path: Path, source: Callable[[Path], Any], content: bytes) -> None:
    assert load(source(tmp_path), {}, LIMIT) == Audio(content)


def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"through the pipe",))
    writer.start()

    assert load(pipe, {}, LIMIT).content == b"through the pipe"
    writer.join()


@pytest.mark.parametrize(
    "pieces", [[b"a", b"bc"], iter([b"a", bytearray(b"bc")]), (b"abc" for _ in range(1))]
)
def test_pieces_are_joined_as_linear16(pieces: Any) -> None:
    assert load(pieces, {"sample_rate": 8000, "channels": 2}, LIMIT) == Audio(
        b"abc", Encoding.LINEAR16, 8000, 2
    )


def test_pieces_may_be_of_another_encoding() -> None:
    assert load([b"abc"], {"encoding": "mulaw", "sample_rate": 8000}, LIMIT).encoding is Encoding.MULAW


async def test_pieces_from_an_async_iterator() -> None:
    async def pieces() -> Any:
        yield b"a"
        yield b"bc"

    assert await load_async(pieces(), {"sample_rate": 8000}, LIMIT) == Audio(b"abc", Encoding.LINEAR16, 8000)


@pytest.mark.parametrize("encoding", ["flac", Encoding.FLAC])
def test_an_encoding_with_a_header_needs_no_rate(encoding: str) -> None:
    assert load(b"fLaC", {"encoding": encoding}, LIMIT) == Audio(b"fLaC", Encoding.FLAC)


@pytest.mark.parametrize(
    ("array", "samples", "channels"),
    [
        (np.array([1, -2, 32767], np.int16), [1, -2, 32767], 1),
        (np.array([1, -2], ">i2"), [1, -2], 1),
        (np.array([[1, 2], [3, 4]], np.int16), [1, 2, 3, 4], 2),
        (np.array([[1, 3], [2, 4]], np.int16).T, [1, 2, 3, 4], 2),
        (np.array([0.0, 0.5, -1.0, 1.0], np.float32), [0, 16384, -32768, 32767], 1),
        (np.array([0.5, -1.3], np.float64), [16384, -32768], 1),
        (np.arange(6, dtype=np.int16)[::2], [0, 2, 4], 1),
    ],
    ids=["int16", "big-endian", "stereo", "transposed view", "float32", "overshoot", "strided"],
)
def test_arrays_become_linear16(array: Any, samples: list[int], channels: int) -> None:
    audio = load(array, {"sample_rate": 16000}, LIMIT)

    assert np.frombuffer(audio.content, "<i2").tolist() == samples
    assert (audio.encoding, audio.sample_rate, audio.channels) == (Encoding.LINEAR16, 16000, channels)


def test_floats_and_integers_are_on_one_scale() -> None:
    integers = np.array([-32768, -1, 0, 1, 12345, 32767], np.int16)

    assert load(integers / 32768, PCM, LIMIT).content == load(integers, PCM, LIMIT).content


REFUSED: list[Any] = [
    pytest.param("nowhere.wav", {}, NotFoundError, "no file nowhere.wav", id="missing file"),
    pytest.param(".", {}, InvalidArgumentError, "cannot be read: Is a directory", id="folder"),
    pytest.param("a\0b", {}, InvalidArgumentError, "cannot be read", id="no path"),
    pytest.param(b"", {}, InvalidArgumentError, "empty", id="no bytes"),
    pytest.param(io.BytesIO(), {}, InvalidArgumentError, "empty", id="empty file"),
    pytest.param([], PCM, InvalidArgumentError, "empty", id="no pieces"),
    pytest.param(np.zeros(0, np.int16), PCM, InvalidArgumentError, "empty", id="empty array"),
    pytest.param(io.StringIO("text"), {}, InvalidArgumentError, "mode 'rb'", id="text file"),
    pytest.param(["text"], PCM, InvalidArgumentError, "must be bytes, not str", id="pieces of text"),
    pytest.param([1, 2], PCM, InvalidArgumentError, "must be bytes, not int", id="numbers"),
    pytest.param(42, {}, InvalidArgumentError, "cannot be read from int", id="number"),
    pytest.param(None, {}, InvalidArgumentError, "cannot be read from NoneType", id="None"),
    pytest.param([b"pcm"], {}, InvalidArgumentError, "state sample_rate", id="pieces without a rate"),
    pytest.param(
        b"x", {"encoding": "alaw"}, InvalidArgumentError, "state sample_rate", id="raw without a rate"
    ),
    pytest.param(
        np.ones(2, np.int16), {}, InvalidArgumentError, "state sample_rate", id="array without a rate"
    ),
    pytest.param(b"x", {"sample_rate": 8000}, InvalidArgumentError, "state the encoding", id="rate alone"),
    pytest.param(b"x", {"channels": 1}, InvalidArgumentError, "state the encoding", id="channels alone"),
    pytest.param(
        b"x", {"encoding": "mp5"}, InvalidArgumentError, "no encoding 'mp5'.*ogg_opus", id="encoding"
    ),
    pytest.param(np.ones(2, np.int32), PCM, InvalidArgumentError, "array is of int32", id="int32"),
    pytest.param(np.ones(2, np.float16), PCM, InvalidArgumentError, "array is of float16", id="float16"),
    pytest.param(np.ones(2, np.uint16), PCM, InvalidArgumentError, "array is of uint16", id="uint16"),
    pytest.param(np.ones((2, 2, 2), np.int16), PCM, InvalidArgumentError, "must be", id="three axes"),
    pytest.param(np.ones((), np.int16), PCM, InvalidArgumentError, "must be", id="no axis"),
    pytest.param(np.ones((2, 100), np.int16), PCM, InvalidArgumentError, "transpose", id="channels first"),
    pytest.param(np.array([12000.0]), PCM, InvalidArgumentError, "one is 12000", id="scale of int16"),
    pytest.param(np.array([0, np.nan]), PCM, InvalidArgumentError, "NaN", id="NaN"),
    pytest.param(np.array([0, -np.inf]), PCM, InvalidArgumentError, "one is inf", id="infinite"),
    pytest.param(
        np.ones((4, 2), np.int16), {**PCM, "channels": 1}, InvalidArgumentError, "2 channels", id="other"
    ),
    pytest.param(
        np.ones(2, np.int16), {**PCM, "encoding": "alaw"}, InvalidArgumentError, "linear16", id="alaw"
    ),
    pytest.param(io.BytesIO(bytes(LIMIT + 1)), {}, OutOfRangeError, "limit", id="large file"),
    pytest.param(repeat(b"endless"), PCM, OutOfRangeError, "limit", id="endless"),
]


@pytest.mark.parametrize(("source", "options", "error", "message"), REFUSED)
def test_what_is_refused(source: Any, options: Any, error: type[EarshotError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        load(source, options, LIMIT)

    assert caught.value.field.startswith(("content", "config.explicit_decoding_config."))


def test_a_file_of_any_size_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "sparse.wav"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte that takes no disk

    with pytest.raises(OutOfRangeError):
        load(path, {}, LIMIT)


def test_a_source_that_fails_keeps_its_own_error() -> None:
    def broken() -> Iterator[bytes]:
        yield b"pcm"
        raise OSError("the microphone is gone")

    with pytest.raises(OSError, match="microphone"):
        load(broken(), PCM, LIMIT)
