"""One recording after another in one stream."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from earshot.audio.checks import bad_content
from earshot.audio.decoding import Samples
from earshot.audio.formats import SAMPLE_RATE
from earshot.audio.live_samples import joined
from earshot.audio.live_stage import Stage

_MOST_PARTS: Final = 16  # recordings in one stream, beyond one for each second


class Chain:
    """Decodes recordings of one kind (libav's name of its demuxer; None: unknown) with stages of ``make``."""

    def __init__(self, kind: str | None, make: Callable[[], Stage]) -> None:
        self._make, self._now = make, make()
        self._joints = _Joints(kind)
        self._order = _Mp4Order() if kind == "mov" else None
        self._samples, self._parts, self._heard = 0, 0, False

    @property
    def heard(self) -> bool:
        """Some sound has been decoded."""
        return self._heard or self._now.heard

    def push(self, data: bytes) -> Samples:
        """All samples that can be had by now."""
        if self._order is not None:
            self._order.check(data)
        return joined(self._decoded(data))

    def finish(self) -> Samples:
        """The rest."""
        return joined([self._now.push(self._joints.rest()), self._now.finish()])

    def close(self) -> None:
        """Gives back the recording that is open."""
        self._now.close()

    def _decoded(self, data: bytes) -> Iterator[Samples]:
        for run in self._joints.split(data):
            samples = self._next() if run is None else self._now.push(run)
            self._samples += samples.size
            yield samples

    def _next(self) -> Samples:
        """Ends one recording and begins another; gives the rest of the first."""
        rest = self._now.finish()
        self._heard = self.heard
        self._now.close()
        self._parts += 1
        if self._parts > _MOST_PARTS + self._samples // SAMPLE_RATE:
            message = "content is cut into specks of recordings: encode it anew"
            raise bad_content("AUDIO_TOO_COMPLEX", message)
        self._now = self._make()
        return rest


class _Mp4Order:
    """Sees to it that an MP4's index comes before its audio; else nothing could be decoded before the end."""

    def __init__(self) -> None:
        self._head, self._skip, self._known = b"", 0, False

    def check(self, data: bytes) -> None:
        """Looks at the next bytes."""
        while data and not self._known:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            end = skipped + 8 - len(self._head)
            self._head += data[skipped:end]
            data = data[end:]
            if len(self._head) == 8:
                self._box()

    def _box(self) -> None:
        size, name = struct.unpack(">I4s", self._head)
        if name == b"mdat":
            message = "the index of the MP4 comes after its audio: send it whole, or write it with faststart"
            raise bad_content("AUDIO_NOT_STREAMABLE", message)
        self._known = name == b"moov" or size < 8  # sizes of 64 bits are those of mdat
        self._head, self._skip = b"", max(0, size - 8)


@dataclass(frozen=True, slots=True)
class _Start:
    """What another recording in the middle starts with: so many bytes that chance does not bring them."""

    lead: bytes
    rest: bytes  # a pattern
    most: int  # bytes of both

    @property
    def pattern(self) -> bytes:
        """All of it."""
        return re.escape(self.lead) + self.rest

    @property
    def cut(self) -> bytes:
        """The pattern of a part at the end of the data, which may yet become a start."""
        parts = [re.escape(self.lead[:size]) for size in range(len(self.lead) - 1, 0, -1)]
        inside = re.escape(self.lead) + b".{0,%d}" % (self.most - len(self.lead) - 1)
        return b"(?:" + b"|".join([inside, *parts]) + rb")\Z"


_JOINTS: Final = {
    "ogg": _Start(b"OggS", rb"\x00(?:[\x02\x06]\x00{8}|[\x00\x01\x04\x05])", 14),
    "matroska": _Start(b"\x1aE\xdf\xa3", rb".{1,40}?(?:webm|matroska)", 52),
    "flac": _Start(b"fLaC", rb"[\x00\x80]\x00\x00\x22", 8),
    "wav": _Start(b"RIFF", rb"....WAVEfmt ", 16),
}
_LONGEST: Final = max(start.most for start in _JOINTS.values())
_MAPPED: Final = frozenset({"ogg", "matroska", "mov"})  # FLAC within them starts as FLAC alone does


class _Joints:
    """Cuts a stream where another recording of its kind starts; one of another kind is an error.

    Ogg calls that chaining (RFC 3533); recorders that are stopped and started do it with others too.
    """

    def __init__(self, kind: str | None) -> None:
        own = _JOINTS.get(kind or "")
        self._own = re.compile(own.pattern, re.DOTALL) if own else None
        self._cut = re.compile(own.cut, re.DOTALL) if own else None
        others = [start for name, start in _JOINTS.items() if name != kind]
        if kind in _MAPPED:
            others.remove(_JOINTS["flac"])
        self._other = re.compile(b"|".join(start.pattern for start in others), re.DOTALL)
        self._held = self._seen = b""
        self._open = False  # another recording may start: something of this one has been

    def split(self, data: bytes) -> Iterator[bytes | None]:
        """The data in runs of one recording each, with None between them; a few bytes may be held back."""
        self._check(data)
        data, at = self._held + data, 0
        last = 0
        for match in self._own.finditer(data) if self._own else ():
            last = match.end()
            if self._joins(match):
                yield data[at : match.start()]
                yield None
                at = match.start()
        held = self._cut and self._cut.search(data, max(last, len(data) - _LONGEST))
        end = held.start() if held else len(data)
        self._held = data[end:]
        yield data[at:end]

    def rest(self) -> bytes:
        """What was held back, at the end."""
        held, self._held = self._held, b""
        return held

    def _joins(self, match: re.Match[bytes]) -> bool:
        """A start, but for that of the first; Ogg starts each of its streams before the body of any."""
        ogg = match[0].startswith(b"OggS")
        starts = not ogg or match[0][5] & 2 != 0
        joins, self._open = starts and self._open, not starts or not ogg
        return joins

    def _check(self, data: bytes) -> None:
        seen = self._seen + data
        if self._other.search(seen):
            message = "a recording of another format starts in mid-stream: start another stream for it"
            raise bad_content("AUDIO_FORMAT_CHANGED", message)
        self._seen = seen[-_LONGEST:]
