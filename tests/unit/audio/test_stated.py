"""Content against what the config says of it."""

from __future__ import annotations

import pytest

from earshot.audio.decoding import decode
from earshot.audio.formats import AudioFormat, Encoding
from earshot.errors import InvalidArgumentError
from tests.unit.audio.making import LIMITS, encoded, heard, s16, tone, wav

FILES = {
    "wav": wav(s16(tone(440))),
    "wav mulaw": encoded("wav", "pcm_mulaw", tone(440, 8_000), 8_000),
    "wav adpcm": encoded("wav", "adpcm_ms", tone(440), 16_000),
    "flac": encoded("flac", "flac", tone(440, 44_100), 44_100, "stereo"),
    "mp3": encoded("mp3", "libmp3lame", tone(440, 24_000), 24_000),
    "ogg opus": encoded("ogg", "libopus", tone(440, 48_000), 48_000, "stereo"),
    "ogg flac": encoded("ogg", "flac", tone(440), 16_000),
    "webm opus": encoded("webm", "libopus", tone(440, 48_000), 48_000),
    "m4a": encoded("mp4", "aac", tone(440), 16_000),
}


@pytest.mark.parametrize(
    ("file", "stated"),
    [
        ("wav", AudioFormat(Encoding.WAV)),
        ("wav", AudioFormat(Encoding.WAV, 16_000, 1)),
        ("wav mulaw", AudioFormat(Encoding.WAV, 8_000)),
        ("flac", AudioFormat(Encoding.FLAC, 44_100, 2)),
        ("mp3", AudioFormat(Encoding.MP3, 24_000, 1)),
        ("ogg opus", AudioFormat(Encoding.OGG_OPUS, 48_000, 2)),
        ("ogg opus", AudioFormat(Encoding.OGG_OPUS, 16_000)),
        ("webm opus", AudioFormat(Encoding.WEBM_OPUS)),
    ],
)
def test_it_is_what_was_said(file: str, stated: AudioFormat) -> None:
    assert heard(FILES[file], stated).size == pytest.approx(16_000, rel=0.1)


@pytest.mark.parametrize(
    ("file", "encoding", "says"),
    [
        ("flac", Encoding.WAV, r"content is FLAC \(flac\), not WAV"),
        ("wav adpcm", Encoding.WAV, r"content is WAV \(adpcm_ms\), not WAV"),
        ("wav", Encoding.FLAC, r"content is WAV \(pcm_s16le\), not FLAC"),
        ("ogg flac", Encoding.FLAC, r"content is Ogg \(flac\), not FLAC"),
        ("m4a", Encoding.MP3, r"content is MP4 \(aac\), not MP3"),
        ("ogg flac", Encoding.OGG_OPUS, r"content is Ogg \(flac\), not OGG_OPUS"),
        ("webm opus", Encoding.OGG_OPUS, r"content is WebM or Matroska \(opus\), not OGG_OPUS"),
        ("ogg opus", Encoding.WEBM_OPUS, r"content is Ogg \(opus\), not WEBM_OPUS"),
        ("wav", Encoding.LINEAR16, "content is a WAV file, not raw LINEAR16"),
        ("flac", Encoding.LINEAR32F, "content is a FLAC file, not raw LINEAR32F"),
        ("ogg opus", Encoding.MULAW, "content is an Ogg file, not raw MULAW"),
    ],
)
def test_it_is_another_encoding(file: str, encoding: Encoding, says: str) -> None:
    rate = 8_000 if AudioFormat(encoding).is_raw else 0
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        heard(FILES[file], AudioFormat(encoding, rate))
    assert (raised.value.reason, raised.value.field) == ("AUDIO_ENCODING_MISMATCH", "content")


@pytest.mark.parametrize(
    ("file", "stated", "reason", "field", "says"),
    [
        ("wav", AudioFormat(Encoding.WAV, 8_000), "SAMPLE_RATE_MISMATCH", "sample_rate_hertz", "16000 Hz"),
        ("flac", AudioFormat(Encoding.FLAC, 48_000), "SAMPLE_RATE_MISMATCH", "sample_rate_hertz", "44100 Hz"),
        (
            "wav",
            AudioFormat(Encoding.WAV, 0, 2),
            "CHANNEL_COUNT_MISMATCH",
            "audio_channel_count",
            "1 channels",
        ),
        (
            "ogg opus",
            AudioFormat(Encoding.OGG_OPUS, 0, 1),
            "CHANNEL_COUNT_MISMATCH",
            "audio_channel_count",
            "2 channels",
        ),
    ],
)
def test_the_header_says_otherwise(
    file: str, stated: AudioFormat, reason: str, field: str, says: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        decode(FILES[file], stated, LIMITS, lambda block: None, field="recognition_config")
    assert raised.value.reason == reason
    assert raised.value.field == f"recognition_config.explicit_decoding_config.{field}"
