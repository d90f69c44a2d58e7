"""Transcripts with placeholders in the place of what must not be in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from earshot.stt.masking.detectors import found
from earshot.stt.masking.profanity import filtered
from earshot.stt.masking.types import Context, Finder, Found
from earshot.stt.types import RecognitionOptions, Segment, Transcript, Word

Item = TypeVar("Item")

_AFTER: Final = ".,;:!?"  # punctuation that stays where it was


def masked(transcript: Transcript, options: RecognitionOptions, names: Finder | None = None) -> Transcript:
    """``transcript`` without what ``options`` want out of it. Texts and words are looked at each by itself:
    engines split them differently. ``names`` finds the names of persons, where they are to be taken out.
    """
    if not options.redact and not options.profanity_filter:
        return transcript
    language = (transcript.language or options.language).partition("-")[0].lower()
    context = Context(language, names, options.goes_on)
    texts = [segment.text.split() for segment in transcript.segments]
    segments = [
        replace(segment, text=" ".join(said), words=words)
        for segment, said, words in zip(
            transcript.segments,
            _texts(texts, options, context),
            _words(transcript.segments, options, context),
            strict=True,
        )
    ]
    return replace(transcript, segments=tuple(segments))


def _texts(texts: Sequence[list[str]], options: RecognitionOptions, context: Context) -> list[list[str]]:
    cleaned = [[_clean(word, options, context.language) for word in text] for text in texts]
    return _replaced(texts, cleaned, options, context, lambda part, kind: _placeholder(part[-1], kind))


def _words(
    segments: Sequence[Segment], options: RecognitionOptions, context: Context
) -> list[tuple[Word, ...]]:
    heard = [list(segment.words) for segment in segments]
    texts = [[word.text for word in words] for words in heard]
    language = context.language
    cleaned = [
        [replace(word, text=_clean(word.text, options, language)) for word in words] for words in heard
    ]
    return [tuple(words) for words in _replaced(texts, cleaned, options, context, _together)]


def _replaced(
    texts: Sequence[Sequence[str]],
    items: Sequence[Sequence[Item]],
    options: RecognitionOptions,
    context: Context,
    placed: Callable[[Sequence[Item], str], Item],
) -> list[list[Item]]:
    """``items``, one for each word of ``texts``; what is found is looked for over all segments together."""
    flat = [word for text in texts for word in text]
    hits = found(flat, options.redact, context)
    replaced, first = [], 0
    for part in items:
        replaced.append(_in_part(part, first, hits, placed))
        first += len(part)
    return replaced


def _in_part(
    part: Sequence[Item], first: int, hits: Sequence[Found], placed: Callable[[Sequence[Item], str], Item]
) -> list[Item]:
    """The items of one segment, whose first has that number among all."""
    kept: list[Item] = []
    position = 0
    for hit in hits:
        start, end = max(hit.start - first, 0), min(hit.end - first, len(part))
        if start < end:
            kept += [*part[position:start], placed(part[start:end], hit.kind)]
            position = end
    return [*kept, *part[position:]]


def _clean(word: str, options: RecognitionOptions, language: str) -> str:
    return filtered(word, language) if options.profanity_filter else word


def _placeholder(last: str, kind: str) -> str:
    """The kind in brackets, and the punctuation that came after the last word."""
    return f"[{kind.upper()}]" + last[len(last.rstrip(_AFTER)) :]


def _together(words: Sequence[Word], kind: str) -> Word:
    """One word for several, from the start of the first to the end of the last."""
    known = [word.confidence for word in words if word.confidence is not None]
    return Word(
        text=_placeholder(words[-1].text, kind),
        start=words[0].start,
        end=words[-1].end,
        confidence=min(known) if known else None,
    )
