"""What resampling and mixing do to a signal."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.audio.formats import AudioFormat, Encoding
from tests.unit.audio.making import encoded, float_wav, heard, level, peak_hertz, s16, tone, wav


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_pitch_and_level(rate: int) -> None:
    sine = tone(440, rate)
    samples = heard(wav(s16(sine, sine), rate=rate, channels=2))
    assert samples.size == pytest.approx(16_000, abs=1)
    assert peak_hertz(samples) == pytest.approx(440, abs=1)
    assert level(samples) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("hertz", [9_000, 12_000, 15_560, 20_000])
def test_what_is_above_the_band_vanishes(hertz: float) -> None:
    assert level(heard(wav(s16(tone(hertz, 48_000)), rate=48_000))) < 1e-4


@pytest.mark.parametrize("hertz", [100, 3_400, 7_000])
def test_what_is_in_the_band_stays(hertz: float) -> None:
    assert level(heard(wav(s16(tone(hertz, 48_000)), rate=48_000))) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("container", ["wav", "flac"])
def test_what_needs_no_change_is_not_changed(container: str) -> None:
    noise = np.random.default_rng(7).integers(-32768, 32768, 16_000)
    codec = "pcm_s16le" if container == "wav" else "flac"
    samples = heard(encoded(container, codec, noise / 32767, 16_000))
    np.testing.assert_array_equal(samples, (noise / 32767 * 32767).astype(np.int16))


def test_float_beyond_full_scale_is_cut_not_wrapped() -> None:
    samples = heard(float_wav(tone(440, level=4.0)))
    assert samples.max() == 32767
    assert samples.min() == -32768
    assert np.count_nonzero(np.abs(np.diff(samples.astype(int))) > 40_000) == 0


@pytest.mark.parametrize("channels", [2, 3, 4, 8])
def test_channels_without_places_count_alike(channels: int) -> None:
    silent = np.zeros(16_000)
    for speaking in range(channels):
        mix = [silent] * channels
        mix[speaking] = tone(440, level=0.8)
        samples = heard(s16(*mix), AudioFormat(Encoding.LINEAR16, 16_000, channels))
        assert level(samples) == pytest.approx(0.8 / channels, rel=0.01)


@pytest.mark.parametrize("layout", ["stereo", "5.1", "7.1"])
def test_a_mix_of_all_channels_never_clips(layout: str) -> None:
    container = "wav" if layout != "stereo" else "flac"
    codec = "pcm_s16le" if layout != "stereo" else "flac"
    samples = heard(encoded(container, codec, tone(440, level=0.99), 16_000, layout))
    assert level(samples) == pytest.approx(0.99, rel=0.02)


def test_dialogue_is_in_the_centre_of_five_one() -> None:
    """ITU-R BS.775: the centre is as strong as left or right are to each other, the effects are left out."""
    places = ("FL", "FR", "FC", "LFE", "BL", "BR")
    levels = {}
    for place in places:
        mix = [tone(440, level=0.5) if name == place else np.zeros(16_000) for name in places]
        levels[place] = level(heard(_five_one(mix)))
    assert levels["FC"] > levels["FL"] == pytest.approx(levels["FR"], rel=0.01)
    assert levels["LFE"] < 1e-4
    assert levels["BL"] < levels["FL"]


def _five_one(channels: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> bytes:
    """A WAV file whose header gives the channels their places (WAVE_FORMAT_EXTENSIBLE)."""
    named = bytearray(encoded("wav", "pcm_s16le", np.zeros(16_000), 16_000, "5.1"))
    at = named.index(b"data") + 8
    named[at:] = s16(*channels)
    return bytes(named)
