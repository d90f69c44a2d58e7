"""Words at a cut: both sides have heard those near it, and each is kept once, by where its middle is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from earshot.stt.streaming.wire import Span
from earshot.stt.types import SAMPLE_RATE, Segment, Transcript, Word

# Languages whose words are written without spaces between (BCP-47).
_UNSPACED: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})


def joined(transcript: Transcript, span: Span, *, words: bool) -> Segment | None:
    """What was heard in ``span`` as one segment on the stream's clock; None where no word is left.

    ``words`` says whether the words are wanted; they are needed where the span is cut.
    """
    parts = [_on_clock(part, span) for part in transcript.segments]
    if span.is_cut:
        parts = [kept for part in parts if (kept := _kept(part, span, transcript.language))]
    parts = [part for part in parts if part.text]
    if not parts:
        return None
    return Segment(
        text=_glue(transcript.language).join(part.text for part in parts),
        start=parts[0].start,
        end=parts[-1].end,
        confidence=_mean(part.confidence for part in parts),
        words=tuple(word for part in parts for word in part.words) if words else (),
    )


def _on_clock(part: Segment, span: Span) -> Segment:
    offset = span.start / SAMPLE_RATE
    words = tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in part.words)
    return replace(part, start=part.start + offset, end=part.end + offset, words=words)


def _kept(part: Segment, span: Span, language: str) -> Segment | None:
    low, high = span.keep_from / SAMPLE_RATE, span.keep_to / SAMPLE_RATE
    words = tuple(word for word in part.words if low <= _middle(word) < high)
    if not words:
        return None
    text = _glue(language).join(word.text for word in words)
    return replace(part, text=text, start=words[0].start, end=words[-1].end, words=words)


def _middle(word: Word) -> float:
    return (word.start + word.end) / 2


def _glue(language: str) -> str:
    return "" if language.partition("-")[0] in _UNSPACED else " "


def _mean(confidences: Iterable[float | None]) -> float | None:
    known = [one for one in confidences if one is not None]
    return sum(known) / len(known) if known else None
