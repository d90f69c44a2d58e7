"""Whatever the bytes: an EarshotError or samples, and never more of them than the limits allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.audio.decoding import decode
from earshot.audio.formats import SAMPLE_BYTES, AudioFormat, Encoding
from earshot.audio.limits import AudioLimits
from earshot.errors import EarshotError
from tests.unit.audio.making import AUTO, encoded, s16, tone, wav

LIMITS = AudioLimits(max_seconds=20.0)
SEEDS = {
    "wav": wav(s16(tone(440))),
    "aiff": encoded("aiff", "pcm_s16be", tone(440), 16_000),
    "caf": encoded("caf", "pcm_s16be", tone(440), 16_000),
    "flac": encoded("flac", "flac", tone(440), 16_000),
    "mp3": encoded("mp3", "libmp3lame", tone(440, 24_000), 24_000),
    "opus": encoded("ogg", "libopus", tone(440, 48_000), 48_000),
    "webm": encoded("webm", "libopus", tone(440, 48_000), 48_000),
    "mp4": encoded("mp4", "aac", tone(440), 16_000),
    "fragments": encoded("mp4", "aac", tone(440), 16_000, movflags="frag_keyframe+empty_moov"),
    "adts": encoded("adts", "aac", tone(440), 16_000),
    "amr": encoded("amr", "libopencore_amrnb", tone(440, 8_000), 8_000),
    "avi": encoded("avi", "pcm_s16le", tone(440), 16_000),
    "mpegts": encoded("mpegts", "aac", tone(440), 16_000),
}


def survives(data: bytes, stated: AudioFormat) -> None:
    """Ends well or in an EarshotError that says where and why, within the limits either way."""
    sizes: list[int] = []
    try:
        seconds = decode(data, stated, LIMITS, lambda block: sizes.append(block.size))
    except EarshotError as error:
        refused = (error.field, error.reason)
        seconds = 0.0
    else:
        refused = ("", "")
    assert bool(seconds) != (refused[0] == "content" and refused[1].startswith("AUDIO_"))
    assert sum(sizes) <= LIMITS.max_seconds * 16_000
    assert seconds in (0.0, sum(sizes) / 16_000)


@settings(deadline=None)
@given(data=st.binary(max_size=4_000))
def test_random_bytes(data: bytes) -> None:
    survives(data, AUTO)


@settings(deadline=None)
@given(
    data=st.binary(max_size=4_000),
    encoding=st.sampled_from(sorted(SAMPLE_BYTES)),
    rate=st.integers(8_000, 192_000),
    channels=st.integers(0, 8),
)
def test_random_samples(data: bytes, encoding: Encoding, rate: int, channels: int) -> None:
    survives(data, AudioFormat(encoding, rate, channels))


@pytest.mark.parametrize("seed", SEEDS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_mutated_files(seed: str, data: st.DataObject) -> None:
    survives(_mutated(SEEDS[seed], data), AUTO)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_mutated_recordings(shared: Path, data: st.DataObject) -> None:
    folder = shared / "data/speech"
    files = sorted([*(folder / "formats").iterdir(), *(folder / "nonspeech").iterdir()])
    survives(_mutated(data.draw(st.sampled_from(files)).read_bytes(), data), AUTO)


def _mutated(original: bytes, data: st.DataObject) -> bytes:
    """Some bytes changed, most often in the header, perhaps some cut out or doubled, perhaps the end lost."""
    file = bytearray(original)
    places = st.one_of(st.integers(0, min(600, len(file) - 1)), st.integers(0, len(file) - 1))
    values = st.one_of(
        st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff"])
    )
    for at, value in data.draw(st.lists(st.tuples(places, values), max_size=12)):
        file[at : at + len(value)] = value
    start, length = data.draw(places), data.draw(st.integers(0, 500))
    match data.draw(st.sampled_from(["keep", "cut", "double", "end"])):
        case "cut":
            del file[start : start + length]
        case "double":
            file[start:start] = file[start : start + length]
        case "end":
            del file[start:]
    return bytes(file)
