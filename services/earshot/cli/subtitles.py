"""Transcripts as subtitles: SubRip, and WebVTT (https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earshot.client.results import Segment


def srt(segments: Iterable[Segment]) -> str:
    """One numbered cue for each stretch of speech."""
    cues = (
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_line(segment)}\n"
        for number, segment in enumerate(_spoken(segments), start=1)
    )
    return "\n".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """One cue for each stretch of speech."""
    cues = (
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n"
        f"{html.escape(_line(segment), quote=False)}\n"
        for segment in _spoken(segments)
    )
    return "\n".join(["WEBVTT\n", *cues])


def _spoken(segments: Iterable[Segment]) -> Iterator[Segment]:
    return (segment for segment in segments if segment.text.strip())


def _line(segment: Segment) -> str:
    # An empty line would end the cue.
    return " ".join(segment.text.split())


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"
