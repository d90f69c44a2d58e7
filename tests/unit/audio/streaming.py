"""Streams for tests: bytes pushed in pieces, and recordings that can be streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from earshot.audio.formats import AudioFormat
from earshot.audio.limits import LiveLimits
from earshot.audio.live import LiveDecoder
from tests.unit.audio.making import AUTO, encoded, s16, tone, wav

SEEDS = {
    "wav": wav(s16(tone(440))),
    "wav24": encoded("wav", "pcm_s24le", tone(440, 44_100), 44_100),
    "adpcm": encoded("wav", "adpcm_ms", tone(440), 16_000),
    "aiff": encoded("aiff", "pcm_s16be", tone(440), 16_000),
    "caf": encoded("caf", "pcm_s16be", tone(440), 16_000),
    "flac": encoded("flac", "flac", tone(440), 16_000),
    "oggflac": encoded("ogg", "flac", tone(440), 16_000),
    "mp3": encoded("mp3", "libmp3lame", tone(440, 24_000), 24_000),
    "mp3live": encoded("mp3", "libmp3lame", tone(440, 24_000), 24_000, write_xing="0"),
    "opus": encoded("ogg", "libopus", tone(440, 48_000), 48_000, page_duration="100000"),
    "webm": encoded("webm", "libopus", tone(440, 48_000), 48_000),
    "fragments": encoded("mp4", "aac", tone(440), 16_000, movflags="frag_keyframe+empty_moov"),
    "faststart": encoded("mp4", "aac", tone(440), 16_000, moov_size="4000"),
    "adts": encoded("adts", "aac", tone(440), 16_000),
    "amr": encoded("amr", "libopencore_amrnb", tone(440, 8_000), 8_000),
    "avi": encoded("avi", "pcm_s16le", tone(440), 16_000),
    "mpegts": encoded("mpegts", "aac", tone(440), 16_000),
}


def cut(data: bytes, *sizes: int) -> Iterator[bytes]:
    """``data`` in pieces of these sizes, and then again of them."""
    at = 0
    while at < len(data):
        for size in sizes:
            yield data[at : at + size]
            at += size


def streamed(
    pieces: Iterable[bytes], audio_format: AudioFormat = AUTO, limits: LiveLimits | None = None
) -> NDArray[np.int16]:
    """All samples that come of the pieces."""
    with closing(LiveDecoder(audio_format, limits or LiveLimits())) as decoder:
        parts = [decoder.push(piece) for piece in pieces]
        return np.concatenate([*parts, decoder.finish()])
