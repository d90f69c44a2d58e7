"""What bytes look like, by their first few. Looks only: decides nothing, decodes nothing."""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Iterator
from typing import Final

_HEAD: Final = 1024  # bytes that tell text from sound

# Signature, its offset, what has it. Those of sound that libav reads, so that a broken one gets its name.
_SOUND: Final = (
    (b"WAVE", 8, "a WAV file"),
    (b"AIFF", 8, "an AIFF file"),
    (b"AIFC", 8, "an AIFF file"),
    (b"AVI ", 8, "an AVI file"),
    (b"ftyp", 4, "an MP4 or M4A file"),
    (b"fLaC", 0, "a FLAC file"),
    (b"OggS", 0, "an Ogg file"),
    (b"\x1aE\xdf\xa3", 0, "a WebM or Matroska file"),
    (b"ID3\x02", 0, "an MP3 file"),
    (b"ID3\x03", 0, "an MP3 file"),
    (b"ID3\x04", 0, "an MP3 file"),
    (b"#!AMR", 0, "an AMR file"),
    (b"caff", 0, "a CAF file"),
)
_OTHER: Final = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"MThd", "a MIDI file, which holds notes and no sound"),
    (b"\xff\xfe", "text in UTF-16"),
)
_TEXT: Final = (
    (re.compile(rb"#EXTM3U|ffconcat|v=0\r?\n|<\?xml[^>]*>\s*<MPD|<MPD"), "a playlist"),
    (re.compile(rb"<!doctype html|<html|<head|<body", re.IGNORECASE), "HTML"),
    (re.compile(rb"<"), "XML"),
    (re.compile(rb"[{\[]"), "JSON"),
    (re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}\s"), "base64 text: decode it first"),
)
_UNCOUNTED: Final = 0x7F000000
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def sound_likeness(data: memoryview) -> str:
    """The kind of recording whose signature ``data`` starts with; empty where none does."""
    head = bytes(data[:16])
    return next((name for magic, at, name in _SOUND if head[at:].startswith(magic)), "")


def other_likeness(data: memoryview) -> str:
    """The kind of thing that is surely no recording, as "HTML" or "a PNG image"; empty where not sure."""
    head = bytes(data[:_HEAD])
    return _text_likeness(head) or next((name for magic, name in _OTHER if head.startswith(magic)), "")


def _text_likeness(head: bytes) -> str:
    if head.startswith(b"#!AMR") or _CONTROLS.search(head):
        return ""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the cut may go through a character
    except UnicodeDecodeError:
        return ""
    text = head.removeprefix(b"\xef\xbb\xbf").strip() + b"\n"
    return next((name for pattern, name in _TEXT if pattern.match(text)), "text")


def wav_format(data: memoryview) -> tuple[int, int] | None:
    """Channels and sample rate (hertz) as a WAV header states them; None where there is no such header.

    libav refuses some absurd ones without a word on why.
    """
    for name, at, _ in _wav_chunks(data):
        if name == b"fmt ":
            _, channels, rate = struct.unpack_from("<HHI", data, at)
            return channels, rate
    return None


def wav_bytes_missing(data: memoryview) -> int:
    """How many bytes of samples a WAV header counts that are not there.

    Who writes to a pipe cannot count, and puts 0, or about the most that 31 or 32 bits hold: then none.
    """
    for name, at, size in _wav_chunks(data):
        if name == b"data":
            return max(0, size - (len(data) - at)) if size < _UNCOUNTED else 0
    return 0


def _wav_chunks(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and stated size of each chunk of a WAV file that starts near its beginning."""
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        return
    at = 12
    while at + 16 <= min(len(data), _HEAD * 64):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, size
        at += 8 + size + size % 2
