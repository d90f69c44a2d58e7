"""What bytes look like."""

from __future__ import annotations

import base64

import pytest

from earshot.audio.sniffing import other_likeness, sound_likeness, wav_format
from tests.unit.audio.making import encoded, s16, tone, wav

WAV = wav(s16(tone(440)))


@pytest.mark.parametrize(
    ("data", "likeness"),
    [
        (b"<!DOCTYPE html><html><body>404</body>", "HTML"),
        (b"\xef\xbb\xbf  \n<HTML>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b"hello", "text"),
        ("Grüße, und noch mehr Text. ".encode() * 100, "text"),
        (base64.b64encode(WAV), "base64 text: decode it first"),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://host/a.ts\n", "a playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "a playlist"),
        (b"ffconcat version 1.0\nfile a.wav\n", "a playlist"),
        (b"\x89PNG\r\n\x1a\n\0", "a PNG image"),
        (b"%PDF-1.7\n\x00", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "a ZIP archive"),
        (b"\xff\xfeh\x00i\x00", "text in UTF-16"),
        (b"\xff\xfb\x90\x64", ""),
        (b"\x00\x01\x02", ""),
        (WAV, ""),
        (encoded("amr", "libopencore_amrnb", tone(440, 8_000), 8_000), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_recording(data: bytes, likeness: str) -> None:
    assert other_likeness(memoryview(data)) == likeness


@pytest.mark.parametrize(
    ("data", "likeness"),
    [
        (WAV, "a WAV file"),
        (WAV[:12], "a WAV file"),
        (encoded("flac", "flac", tone(440), 16_000), "a FLAC file"),
        (encoded("ogg", "libopus", tone(440, 48_000), 48_000), "an Ogg file"),
        (encoded("mp4", "aac", tone(440), 16_000), "an MP4 or M4A file"),
        (encoded("matroska", "flac", tone(440), 16_000), "a WebM or Matroska file"),
        (encoded("aiff", "pcm_s16be", tone(440), 16_000), "an AIFF file"),
        (encoded("amr", "libopencore_amrnb", tone(440, 8_000), 8_000), "an AMR file"),
        (s16(tone(440)), ""),
        (b"", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is(data: bytes, likeness: str) -> None:
    assert sound_likeness(memoryview(data)) == likeness


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (wav(b"", rate=44_100, channels=2), (2, 44_100)),
        (wav(b"", rate=0, channels=0), (0, 0)),
        (WAV[:12] + b"JUNK\x03\0\0\0abc\0" + WAV[12:], (1, 16_000)),
        (WAV[:20], None),
        (WAV[:12] + b"JUNK\xff\xff\xff\xff" + WAV[12:], None),
        (b"RIFF\0\0\0\0AVI " + WAV[12:], None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_header_of_a_wav_file(data: bytes, stated: tuple[int, int] | None) -> None:
    assert wav_format(memoryview(data)) == stated
