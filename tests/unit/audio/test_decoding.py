"""Real recordings in every container: the length, the blocks, where the samples go."""

from __future__ import annotations

import json
import struct
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earshot.audio.decoding import decode
from earshot.audio.formats import AudioFormat, Encoding
from earshot.errors import CancelledError
from tests.unit.audio.making import AUTO, LIMITS, encoded, heard, peak_hertz, s16, tone, wav


def test_every_public_recording_has_the_length_of_the_manifest(shared: Path) -> None:
    folder = shared / "data/speech"
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    stated = {entry["file"]: entry["duration_s"] for entry in entries if entry["kind"] != "malformed"}
    found = {file: heard((folder / file).read_bytes()).size / 16_000 for file in stated}
    assert len(found) == 90
    assert found == pytest.approx(stated, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout"),
    [
        ("wav", "pcm_s16le", 16_000, "mono"),
        ("wav", "pcm_u8", 11_025, "mono"),
        ("wav", "pcm_s24le", 96_000, "stereo"),
        ("wav", "pcm_f64le", 16_000, "mono"),
        ("wav", "pcm_alaw", 8_000, "mono"),
        ("wav", "adpcm_ms", 22_050, "mono"),
        ("w64", "pcm_s16le", 16_000, "mono"),
        ("caf", "pcm_s16be", 16_000, "mono"),
        ("au", "pcm_mulaw", 8_000, "mono"),
        ("aiff", "pcm_s16be", 44_100, "stereo"),
        ("flac", "flac", 192_000, "mono"),
        ("mp3", "libmp3lame", 24_000, "mono"),
        ("ogg", "libopus", 48_000, "stereo"),
        ("ogg", "flac", 16_000, "mono"),
        ("adts", "aac", 44_100, "stereo"),
        ("ipod", "alac", 44_100, "stereo"),
        ("mp4", "aac", 48_000, "5.1"),
        ("webm", "libopus", 48_000, "mono"),
        ("matroska", "pcm_s16le", 16_000, "mono"),
        ("avi", "libmp3lame", 44_100, "stereo"),
        ("asf", "wmav2", 44_100, "stereo"),
        ("mpegts", "aac", 48_000, "stereo"),
        ("amr", "libopencore_amrnb", 8_000, "mono"),
        ("3gp", "libopencore_amrnb", 8_000, "mono"),
    ],
)
def test_a_tone_comes_through(container: str, codec: str, rate: int, layout: str) -> None:
    samples = heard(encoded(container, codec, tone(440, rate, 2.0), rate, layout))
    assert samples.size == pytest.approx(32_000, abs=1_600)
    assert peak_hertz(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("stated", "data"),
    [
        (AudioFormat(Encoding.LINEAR16, 16_000), s16(tone(440))),
        (AudioFormat(Encoding.LINEAR16, 48_000, 3), s16(*[tone(440, 48_000)] * 3)),
        (AudioFormat(Encoding.LINEAR32F, 16_000), tone(440).astype("<f4").tobytes()),
        (AudioFormat(Encoding.MULAW, 8_000), encoded("mulaw", "pcm_mulaw", tone(440, 8_000), 8_000)),
        (AudioFormat(Encoding.ALAW, 8_000, 1), encoded("alaw", "pcm_alaw", tone(440, 8_000), 8_000)),
    ],
    ids=lambda value: str(value.encoding) if isinstance(value, AudioFormat) else "",
)
def test_raw_samples(stated: AudioFormat, data: bytes) -> None:
    samples = heard(data, stated)
    assert samples.size == 16_000
    assert peak_hertz(samples) == pytest.approx(440, abs=1)


def test_blocks_are_s16_and_at_most_a_second() -> None:
    blocks: list[NDArray[np.int16]] = []
    seconds = decode(wav(s16(tone(440, seconds=2.5))), AUTO, LIMITS, blocks.append)
    assert seconds == 2.5
    assert [block.size for block in blocks] == [16_000, 16_000, 8_000]
    assert {block.dtype for block in blocks} == {np.dtype(np.int16)}
    assert all(block.ndim == 1 and block.flags.c_contiguous for block in blocks)


def test_silence_is_sound() -> None:
    assert not heard(wav(bytes(32_000))).any()


def test_shared_memory_is_let_go() -> None:
    data = wav(s16(tone(440)))
    memory = SharedMemory(create=True, size=len(data))
    try:
        memory.buf[: len(data)] = data
        with memory.buf[: len(data)] as view:
            assert decode(view, AUTO, LIMITS, lambda block: None) == 1.0
    finally:
        memory.close()  # a BufferError where a view of it was kept
        memory.unlink()


@pytest.mark.parametrize("error", [CancelledError("gone"), ValueError("mine")])
def test_what_the_taker_raises_goes_through(error: Exception) -> None:
    def take(block: NDArray[np.int16]) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        decode(wav(s16(tone(440))), AUTO, LIMITS, take)
    assert raised.value is error


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0xFFFFFFFF], ids=hex)
def test_a_stream_whose_length_was_not_known(stated: int) -> None:
    assert heard(wav(s16(tone(440)), stated=stated)).size == 16_000


def test_a_title_in_no_known_alphabet_is_no_matter() -> None:
    file = wav(s16(tone(440)))
    title = struct.pack("<4sI4s4sI4s", b"LIST", 16, b"INFO", b"INAM", 4, b"\xe9t\xe9\0")
    assert heard(file[:36] + title + file[36:]).size == 16_000


@pytest.mark.parametrize("name", ["sonnet1-open-p001.mp3", "sonnet1-open-p001.webm", "sonnet1-open-p001.ogg"])
def test_half_a_file_is_half_the_sound(shared: Path, name: str) -> None:
    data = (shared / "data/speech/formats" / name).read_bytes()
    assert heard(data[: len(data) // 2]).size == pytest.approx(heard(data).size / 2, rel=0.1)


@pytest.mark.parametrize("name", ["sonnet1-open-p001.mp3", "3005-0009-opus.ogg", "3005-0009.m4a"])
def test_what_is_not_damaged_is_heard(shared: Path, name: str) -> None:
    whole = (shared / "data/speech/formats" / name).read_bytes()
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(2_000) + whole[middle + 2_000 :]
    assert 0.7 < heard(damaged).size / heard(whole).size <= 1.0
