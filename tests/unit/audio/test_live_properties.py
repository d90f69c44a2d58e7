"""Whatever the bytes and wherever they are cut: the same samples, or an error; and always an end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.audio.formats import SAMPLE_BYTES, AudioFormat, Encoding
from earshot.errors import InvalidArgumentError
from tests.unit.audio.making import AUTO
from tests.unit.audio.streaming import SEEDS, cut, streamed

CUTS = st.lists(st.one_of(st.integers(1, 40), st.integers(1, 5_000)), min_size=1, max_size=8)
PLACES = st.integers(0, 2_000)


@pytest.mark.parametrize("seed", SEEDS)
@settings(deadline=None, max_examples=25)
@given(cuts=CUTS, twice=st.booleans())
def test_containers_cut_anywhere(seed: str, cuts: list[int], twice: bool) -> None:
    data = SEEDS[seed] * (2 if twice and seed in ("opus", "webm", "flac", "wav", "mp3") else 1)
    assert np.array_equal(streamed(cut(data, *cuts)), streamed([data]))


@settings(deadline=None, max_examples=150)
@given(
    cuts=CUTS,
    frames=st.integers(0, 3_000),
    encoding=st.sampled_from([Encoding.LINEAR16, Encoding.MULAW, Encoding.ALAW]),
    rate=st.one_of(st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.integers(8_000, 192_000)),
    channels=st.integers(0, 8),
)
def test_raw_samples_cut_anywhere(
    cuts: list[int], frames: int, encoding: Encoding, rate: int, channels: int
) -> None:
    stated = AudioFormat(encoding, rate, channels)
    data = np.random.default_rng(frames).bytes(frames * stated.frame_bytes)
    assert np.array_equal(streamed(cut(data, *cuts), stated), streamed([data], stated))


@settings(deadline=None, max_examples=60)
@given(cuts=CUTS, rate=st.integers(8_000, 192_000), channels=st.integers(1, 4))
def test_floats_cut_anywhere(cuts: list[int], rate: int, channels: int) -> None:
    stated = AudioFormat(Encoding.LINEAR32F, rate, channels)
    values = np.random.default_rng(rate).uniform(-1.5, 1.5, 1_500 * channels)
    data = values.astype("<f4").tobytes()
    assert np.array_equal(streamed(cut(data, *cuts), stated), streamed([data], stated))


def outcome(pieces: list[bytes], stated: AudioFormat) -> NDArray[np.int16] | str:
    try:
        return streamed(pieces, stated)
    except InvalidArgumentError as error:
        return f"{error.field} {error.reason}"


@settings(deadline=None)
@given(data=st.binary(max_size=4_000), cuts=CUTS, encoding=st.sampled_from([None, *sorted(SAMPLE_BYTES)]))
def test_random_bytes(data: bytes, cuts: list[int], encoding: Encoding | None) -> None:
    stated = AudioFormat(encoding, 11_025) if encoding else AUTO
    whole, pieces = outcome([data], stated), outcome([*cut(data, *cuts)], stated)
    assert np.array_equal(whole, pieces)


@pytest.mark.parametrize("seed", SEEDS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_mutated_files_have_an_end(seed: str, data: st.DataObject) -> None:
    file = bytearray(SEEDS[seed])
    for at, value in data.draw(st.lists(st.tuples(PLACES, st.binary(min_size=1, max_size=4)), max_size=8)):
        file[at : at + len(value)] = value
    start, length = data.draw(PLACES), data.draw(st.integers(0, 500))
    del file[start : start + length]
    end = outcome([*cut(bytes(file), *data.draw(CUTS))], AUTO)
    assert not isinstance(end, str) or end.startswith("audio.content AUDIO_")


def test_recordings_have_an_end(shared: Path) -> None:
    folder = shared / "data/speech"
    files = sorted([*(folder / "formats").iterdir(), *(folder / "malformed").iterdir()])
    assert files
    for path in files:
        data = path.read_bytes()
        whole = outcome([data], AUTO)
        assert np.array_equal(outcome([*cut(data, 700, 3, 4_096)], AUTO), whole), path.name
