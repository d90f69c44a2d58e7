"""What a stream decodes to: the same as the whole recording, at once, and from pieces cut anywhere."""

from __future__ import annotations

import io
import threading
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import LiveLimits
from earshot.audio.live import LiveDecoder
from earshot.errors import InvalidArgumentError
from tests.unit.audio.making import AUTO, encoded, heard, peak_hertz, s16, tone, wav
from tests.unit.audio.streaming import SEEDS, cut, streamed

RAW = {
    "as it is": (s16(tone(440)), AudioFormat(Encoding.LINEAR16, 16_000)),
    "48k stereo": (
        s16(tone(440, 48_000), tone(600, 48_000)),
        AudioFormat(Encoding.LINEAR16, 48_000, 2),
    ),
    "float": (tone(440, 44_100).astype("<f4").tobytes(), AudioFormat(Encoding.LINEAR32F, 44_100)),
    "mulaw": (bytes(range(256)) * 40, AudioFormat(Encoding.MULAW, 8_000)),
    "alaw": (bytes(range(256)) * 40, AudioFormat(Encoding.ALAW, 8_000)),
    "mulaw 16k": (bytes(range(256)) * 40, AudioFormat(Encoding.MULAW, 16_000)),
    "five channels": (s16(*[tone(440, 22_050)] * 5), AudioFormat(Encoding.LINEAR16, 22_050, 5)),
}


@pytest.mark.parametrize("name", [name for name in SEEDS if name != "mp3"])
def test_a_container_is_heard_as_when_sent_whole(name: str) -> None:
    assert np.array_equal(streamed(cut(SEEDS[name], 333)), heard(SEEDS[name]))


@pytest.mark.parametrize("name", RAW)
def test_raw_samples_are_heard_as_when_sent_whole(name: str) -> None:
    data, stated = RAW[name]
    assert np.array_equal(streamed(cut(data, 1001), stated), heard(data, stated))


@pytest.mark.parametrize(
    ("bits", "tag", "channels"),
    [(8, 1, 1), (16, 1, 2), (24, 1, 1), (32, 1, 3), (32, 3, 1), (64, 3, 2), (8, 6, 1), (8, 7, 2)],
)
def test_wav_of_every_plain_kind(bits: int, tag: int, channels: int) -> None:
    frames = 11_025 * channels
    samples = np.resize(tone(440, 11_025), frames)
    if tag == 3:
        data = samples.astype(f"<f{bits // 8}").tobytes()
    else:
        data = np.random.default_rng(1).bytes(frames * bits // 8)
    file = wav(data, rate=11_025, bits=bits, tag=tag, channels=channels)
    assert np.array_equal(streamed(cut(file, 77)), heard(file))


def test_wav_with_places_for_its_channels() -> None:
    file = encoded("wav", "pcm_s16le", tone(440), 16_000, "5.1")
    assert np.array_equal(streamed(cut(file, 500)), heard(file))


@pytest.mark.parametrize("name", ["-opus.ogg", "001.ogg", ".webm", ".aac", ".mp3", ".aiff", "48k-stereo.wav"])
def test_recordings(shared: Path, name: str) -> None:
    folder = shared / "data/speech/formats"
    (path,) = folder.glob(f"*{name}")
    data = path.read_bytes()
    assert np.array_equal(streamed(cut(data, 640)), heard(data))


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_does_not_know_its_length(stated: int) -> None:
    sound = s16(tone(440))
    samples = streamed(cut(wav(sound, stated=stated), 1000))
    assert samples.tobytes() == sound


def test_a_header_that_counts_more_than_came_is_no_error() -> None:
    sound = s16(tone(440))
    assert streamed(cut(wav(sound, stated=10**8), 999)).tobytes() == sound


def test_what_follows_the_samples_of_a_wav_is_not_heard() -> None:
    sound = s16(tone(440))
    assert streamed([wav(sound) + b"LIST" + bytes(100)]).tobytes() == sound


def test_samples_that_need_no_work_come_out_at_once_and_untouched() -> None:
    sound = s16(tone(440))
    with closing(LiveDecoder(AudioFormat(Encoding.LINEAR16, 16_000), LiveLimits())) as decoder:
        first = decoder.push(sound[:641])
        assert first.tobytes() == sound[:640]
        assert decoder.push(memoryview(sound)[641:642]).tobytes() == sound[640:642]


@pytest.mark.parametrize(
    ("name", "most"),
    [("48k stereo", 0.01), ("mulaw", 0.01), ("opus", 0.25), ("webm", 0.1), ("flac", 0.9), ("adts", 0.3)],
)
def test_samples_do_not_stay_long(name: str, most: float) -> None:
    """All but the end is given before the end; what is held is in seconds."""
    data, stated = RAW.get(name) or (SEEDS[name], AUTO)
    with closing(LiveDecoder(stated, LiveLimits())) as decoder:
        before = sum(decoder.push(piece).size for piece in cut(data, 200))
        after = decoder.finish().size
    assert after <= most * 16_000 < before + after


def test_a_stream_without_a_byte_is_empty() -> None:
    assert streamed([]).size == 0
    assert streamed([b"", b""], AudioFormat(Encoding.MULAW, 8_000)).size == 0


def test_a_sample_alone_is_no_error() -> None:
    assert streamed([b"\x01\x00"], AudioFormat(Encoding.LINEAR16, 16_000)).tolist() == [1]
    assert streamed([b"\x01\x00"], AudioFormat(Encoding.LINEAR16, 48_000)).size == 0


@pytest.mark.parametrize("name", ["opus", "webm", "flac", "wav"])
def test_one_recording_after_another(name: str) -> None:
    alone = heard(SEEDS[name])
    assert np.array_equal(streamed(cut(SEEDS[name] * 3, 97)), np.tile(alone, 3))


def test_a_chain_may_change_its_codec_and_rate() -> None:
    links = [SEEDS["opus"], SEEDS["oggflac"], encoded("ogg", "libopus", tone(700, 48_000), 48_000, "stereo")]
    expected = np.concatenate([heard(link) for link in links])
    assert np.array_equal(streamed(cut(b"".join(links), 1, 50)), expected)


def test_pictures_in_a_tag_are_passed_over() -> None:
    size = 300_000
    tag = b"ID3\x04\x00\x00" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)
    assert np.array_equal(streamed(cut(tag + SEEDS["mp3"], 4_000)), streamed([SEEDS["mp3"]]))


def test_mp3_keeps_the_padding_at_its_end() -> None:
    """Its length stands in a header that counts frames, which a stream cannot rely on."""
    samples, whole = streamed(cut(SEEDS["mp3"], 333)), heard(SEEDS["mp3"])
    assert 0 <= samples.size - whole.size < 0.1 * 16_000
    assert np.array_equal(samples[: whole.size - 100], whole[:-100])


def test_damage_in_the_middle_is_passed_over() -> None:
    sound = encoded("ogg", "libopus", tone(440, 48_000, 5.0), 48_000, page_duration="100000")
    middle = len(sound) // 2
    samples = streamed(cut(sound[:middle] + bytes(2_000) + sound[middle:], 500))
    assert 4.5 * 16_000 < samples.size < 5.5 * 16_000
    assert abs(peak_hertz(samples) - 440) < 2


def test_speech_beside_a_film(shared: Path) -> None:
    """Pictures are passed over, however large they are between two sounds."""
    file = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 255, (480, 640, 3), np.uint8)
    with av.open(file, "w", format="matroska") as output:
        sound = output.add_stream("flac", rate=16_000, layout="mono")
        film = output.add_stream("mjpeg", rate=2, width=640, height=480, pix_fmt="yuvj420p")
        frame = av.AudioFrame.from_ndarray(np.frombuffer(s16(tone(440)), np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        output.mux(sound.encode(frame))
        for _ in range(4):
            output.mux(film.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        output.mux(film.encode(None))
        output.mux(sound.encode(None))
    assert np.array_equal(streamed(cut(file.getvalue(), 5_000)), heard(file.getvalue()))


def live_threads() -> int:
    return sum(thread.name == "live-audio" for thread in threading.enumerate())


@pytest.mark.parametrize("name", ["opus", "mp3", "mpegts"])
@pytest.mark.parametrize("pushed", [0, 10, 100, 2_000, 1_000_000])
def test_close_in_the_middle_leaves_no_thread(name: str, pushed: int) -> None:
    decoder = LiveDecoder(AUTO, LiveLimits())
    decoder.push(SEEDS[name][:pushed])
    decoder.close()
    decoder.close()
    assert live_threads() == 0


def test_the_end_and_an_error_leave_no_thread() -> None:
    streamed([SEEDS["opus"] * 2])
    with pytest.raises(InvalidArgumentError, match="cut short"):
        streamed([b"OggS" + bytes(80)])
    assert live_threads() == 0
