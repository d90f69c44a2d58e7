"""What both Whisper engines share: speech is cut into windows, each is heard by itself.

Whisper goes astray on silence and over long stretches; in windows of speech it does not, and silence
costs nothing (WhisperX, Bain and others 2023, arXiv:2303.00747).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from earshot import errors
from earshot.stt.speech_segments import Segmentation, SpeechSegmenter, Window
from earshot.stt.types import SAMPLE_RATE, Feature, RecognitionOptions, Samples, Segment, Transcript, Word

Waveform = NDArray[np.float32]  # mono at SAMPLE_RATE, -1 to 1

# Whisper's codes that are not BCP-47.
_TO_BCP47: Final = {"jw": "jv"}
_FROM_BCP47: Final = {bcp47: code for code, bcp47 in _TO_BCP47.items()}
# Seconds of speech that a model is given at once, by its width: the published ones (384 and more) keep
# their place over the whole of Whisper's 30 s, what is smaller does so for an utterance.
_SMALLEST_PUBLISHED: Final = 384
_LONG_WINDOW, _SHORT_WINDOW = 28.0, 2.0
# Seconds that the encoder is given at the least, the rest of them silence. What is published was trained on
# 30; the small ones hear digits as well in 10 (docs/performance.md), and that costs a fifth.
_FULL_CONTEXT, _SHORT_CONTEXT = 30.0, 10.0
_MARGIN: Final = 1.0  # seconds of silence after speech that is nearly as long as that
_TOKEN: Final = 0.02  # seconds of audio that a token of Whisper's decoder attends to at the least
# Checkpoints by these names were never taught to translate, whatever their vocabulary holds.
_NO_TRANSLATION: Final = ("turbo", "distil")


@dataclass(frozen=True, slots=True)
class Heard:
    """What an engine hears in a window: offsets from the window's start; Whisper's language code."""

    segments: tuple[Segment, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is wanted of each window of a clip."""

    language: str  # Whisper's code; empty: detect
    task: str  # "transcribe" or "translate"
    words: bool
    prompt: str  # empty: none


def transcribe(
    windows: Iterable[Window],
    samples: Samples,
    options: RecognitionOptions,
    hear: Callable[[Waveform, Hearing], Heard],
    cancelled: Callable[[], bool],
) -> Transcript:
    """Hears a clip window by window, on the clip's clock. The first window settles the language.

    Raises :class:`errors.CancelledError` between windows once nobody waits.
    """
    hearing = _hearing(options)
    segments: list[Segment] = []
    skipped = len(samples)
    for window in windows:
        raise_if(cancelled)
        skipped -= window.end - window.start
        heard = hear(_waveform(samples[window.start : window.end]), hearing)
        hearing = replace(hearing, language=heard.language)
        segments.extend(_on_clock(segment, window) for segment in heard.segments if segment.text)
    return Transcript(tuple(segments), bcp47(hearing.language), skipped / SAMPLE_RATE)


def _waveform(samples: Samples) -> Waveform:
    return samples.astype(np.float32) / np.float32(32768)


def segmenter(width: int, max_window: float) -> SpeechSegmenter:
    """Cuts as suits a model of that width; ``max_window`` is in seconds, 0 leaves it to the model."""
    suited = _LONG_WINDOW if width >= _SMALLEST_PUBLISHED else _SHORT_WINDOW
    return SpeechSegmenter(Segmentation(max_window=max_window or suited))


def context(width: int, least: float) -> float:
    """Seconds that the encoder of a model of that width is given at the least; ``least`` 0: what suits it."""
    return least or (_FULL_CONTEXT if width >= _SMALLEST_PUBLISHED else _SHORT_CONTEXT)


def encoded_seconds(waveform: Waveform, least: float) -> float:
    """What the encoder is given for a window of speech: whole seconds, so that shapes repeat."""
    return float(min(_FULL_CONTEXT, max(least, np.ceil(len(waveform) / SAMPLE_RATE + _MARGIN))))


def raise_if(cancelled: Callable[[], bool]) -> None:
    """Stops the work once nobody waits for it. Raises :class:`errors.CancelledError`."""
    if cancelled():
        raise errors.CancelledError("nobody waits for this clip any more")


def bcp47(code: str) -> str:
    """Whisper's language code as BCP-47."""
    return _TO_BCP47.get(code, code)


def languages(codes: Iterable[str], multilingual: bool) -> tuple[str, ...]:
    """BCP-47 codes of what a checkpoint knows, English first."""
    return ("en", *(bcp47(code) for code in codes if code != "en")) if multilingual else ("en",)


def features(name: str, multilingual: bool) -> tuple[Feature, ...]:
    """What the checkpoint of that name can do."""
    always = (Feature.WORD_TIME_OFFSETS, Feature.WORD_CONFIDENCE, Feature.PHRASE_HINTS)
    if not multilingual:
        return always
    if any(part in name for part in _NO_TRANSLATION):
        return (*always, Feature.LANGUAGE_DETECTION)
    return (*always, Feature.LANGUAGE_DETECTION, Feature.TRANSLATION)


def segment(
    text: str,
    start: float,
    end: float,
    log_probability: float,
    words: Iterable[tuple[str, float, float, float]],
) -> Segment:
    """One segment as Whisper gives it: mean log probability of its tokens, (text, start, end, probability)
    for its words.
    """
    return Segment(
        text=text.strip(),
        # Plain floats: what the engines give may be NumPy's, which do not cross to another process.
        start=float(start),
        end=float(end),
        confidence=min(1.0, float(np.exp(log_probability))),
        words=tuple(
            Word(word.strip(), float(begin), float(until), float(p))
            for word, begin, until, p in words
            if word.strip()
        ),
    )


def lengthen(segment: dict[str, Any]) -> None:
    """Gives a segment of upstream's that its words take no time in the time of one token.

    Where words are aligned to the audio and end up in no time at all, as a single short one may, both
    implementations of Whisper take the segment for an invention and throw its text away.
    """
    if segment["start"] >= segment["end"]:
        segment["end"] = segment["start"] + _TOKEN


def _hearing(options: RecognitionOptions) -> Hearing:
    return Hearing(
        language=_FROM_BCP47.get(options.language, options.language),
        task="translate" if options.translate else "transcribe",
        words=options.word_offsets or options.word_confidence,
        prompt=", ".join(options.phrase_hints),
    )


def _on_clock(heard: Segment, window: Window) -> Segment:
    """On the clip's clock, and inside the window: Whisper's timestamps may point past its end."""

    def at(seconds: float) -> float:
        return min(window.offset + max(0.0, seconds), window.end / SAMPLE_RATE)

    words = tuple(replace(word, start=at(word.start), end=at(word.end)) for word in heard.words)
    return replace(heard, start=at(heard.start), end=at(heard.end), words=words)
