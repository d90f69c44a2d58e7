"""What may be stated of audio, and the error of each mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest

from earshot.audio.formats import AudioFormat, Encoding
from earshot.errors import InvalidArgumentError
from earshot.gen.v1 import audio_pb2

ENCODING, RATE, CHANNELS = "encoding", "sample_rate_hertz", "audio_channel_count"


@pytest.mark.parametrize(
    "stated",
    [
        AudioFormat(),
        AudioFormat(Encoding.LINEAR16, 8_000),
        AudioFormat(Encoding.LINEAR32F, 192_000, 8),
        AudioFormat(Encoding.MULAW, 8_000, 1),
        AudioFormat(Encoding.FLAC),
        AudioFormat(Encoding.OGG_OPUS, 48_000, 2),
    ],
)
def test_what_may_be_stated(stated: AudioFormat) -> None:
    stated.check()


@pytest.mark.parametrize(
    ("stated", "reason", "field", "says"),
    [
        (AudioFormat(None, 16_000), "ENCODING_REQUIRED", ENCODING, "needs an encoding"),
        (AudioFormat(None, 0, 1), "ENCODING_REQUIRED", ENCODING, "needs an encoding"),
        (AudioFormat(Encoding.LINEAR16), "SAMPLE_RATE_REQUIRED", RATE, "LINEAR16 has no header"),
        (AudioFormat(Encoding.ALAW, 0, 1), "SAMPLE_RATE_REQUIRED", RATE, "ALAW has no header"),
        (AudioFormat(Encoding.LINEAR16, 7_999), "SAMPLE_RATE_OUT_OF_RANGE", RATE, "7999 Hz"),
        (AudioFormat(Encoding.LINEAR16, 192_001), "SAMPLE_RATE_OUT_OF_RANGE", RATE, "192001 Hz"),
        (AudioFormat(Encoding.WAV, -1), "SAMPLE_RATE_OUT_OF_RANGE", RATE, "-1 Hz"),
        (AudioFormat(Encoding.LINEAR16, 16_000, -1), "CHANNEL_COUNT_OUT_OF_RANGE", CHANNELS, "-1 channels"),
        (AudioFormat(Encoding.FLAC, 0, 9), "CHANNEL_COUNT_OUT_OF_RANGE", CHANNELS, "9 channels"),
    ],
)
@pytest.mark.parametrize("path", ["config", "recognition_config"])
def test_what_may_not(stated: AudioFormat, reason: str, field: str, says: str, path: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        stated.check(path)
    assert raised.value.reason == reason
    assert raised.value.field == f"{path}.explicit_decoding_config.{field}"


def test_the_encodings_are_those_of_the_api() -> None:
    names = set(audio_pb2.ExplicitDecodingConfig.AudioEncoding.keys())
    assert {f"AUDIO_ENCODING_{encoding}" for encoding in Encoding} == names - {"AUDIO_ENCODING_UNSPECIFIED"}


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        (AudioFormat(Encoding.LINEAR16, 8_000), 2),
        (AudioFormat(Encoding.LINEAR32F, 8_000, 3), 12),
        (AudioFormat(Encoding.MULAW, 8_000, 2), 2),
        (AudioFormat(Encoding.MP3), 0),
        (AudioFormat(), 0),
    ],
)
def test_size_of_a_frame(stated: AudioFormat, size: int) -> None:
    assert stated.frame_bytes == size
    assert stated.is_raw == bool(size)


@pytest.mark.parametrize("module", ["formats", "limits"])
def test_a_front_process_may_import_it(module: str) -> None:
    script = f"import sys, earshot.audio.{module}; print(*{{'av', 'numpy', 'grpc'}} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == ""
