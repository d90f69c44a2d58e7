"""How recordings start, to know each by its first bytes."""

from __future__ import annotations

import re
from typing import Final

HEAD: Final = 1024  # bytes that tell text from sound
MAGIC: Final = 16  # bytes that tell one container from another
_STARTS: Final = tuple(
    (re.compile(pattern, re.DOTALL), demuxer)
    for pattern, demuxer in (
        (rb"OggS", "ogg"),
        (rb"\x1aE\xdf\xa3", "matroska"),
        (rb"fLaC", "flac"),
        (rb"RIFF....WAVE", "wav"),
        (rb"R(?:F64|IFX)....WAVE", "wav"),
        (rb"RIFF....AVI ", "avi"),
        (rb"FORM....AIF[FC]", "aiff"),
        (rb"riff\x2e\x91\xcf\x11", "w64"),
        (rb"caff", "caf"),
        (rb"\.snd", "au"),
        (rb"#!AMR", "amr"),
        (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
        (rb"....(?:ftyp|moov|mdat|wide|skip|free)", "mov"),
        (rb"\xff[\xf0\xf1\xf8\xf9]", "aac"),  # layer 0
        (rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]", "mp3"),  # MPEG 1, 2 and 2.5, layers III to I
    )
)


def demuxer_of(head: bytes) -> str | None:
    """libav's name of the demuxer for what starts with ``head``; None where its signature is not known."""
    return next((demuxer for pattern, demuxer in _STARTS if pattern.match(head)), None)


def tag_size(head: bytes) -> int:
    """The bytes of the ID3v2 tag that ``head`` (10 bytes at least) starts with; 0 where there is none."""
    if head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + (20 if head[5] & 0x10 else 10)  # with a footer
