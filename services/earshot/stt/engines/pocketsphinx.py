"""PocketSphinx: the embedded default. Its model of US English is in its wheel.

Huggins-Daines and others 2006, "Pocketsphinx: a free, real-time continuous speech recognition system for
hand-held devices". A clip is decoded in one piece, with the cepstral mean of all of it: in blocks as they
come the word error rate is 9 points higher. Clips over a minute go window by window, so that memory and
the time to a cancellation stay bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from typing import Final

import pocketsphinx

from earshot import errors
from earshot.stt.engines.windowed import raise_if
from earshot.stt.speech_segments import Segmentation, SpeechSegmenter, Window
from earshot.stt.types import (
    SAMPLE_RATE,
    Feature,
    ModelInfo,
    RecognitionOptions,
    Samples,
    Segment,
    Transcript,
    Word,
    joined,
)

MODEL: Final = "pocketsphinx-en-us"
_WHOLE: Final = 60  # seconds; longer clips are heard in windows
_WINDOWS: Final = Segmentation(max_window=14.0, min_silence=0.3)
_PAUSE: Final = 0.6  # seconds between words that end a segment
_FRAME: Final = 0.01  # seconds
# Nobody draws a word out for so long: of 263 words in 14 clips of speech the longest took 0.8 s. Music and
# noise are forced into words of any length.
_LONGEST: Final = 1.5  # seconds
_NO_WORD: Final = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # silence, noise, breath
_VARIANT: Final = re.compile(r"\(\d+\)$")  # "to(2)": another pronunciation of "to"


class PocketSphinxEngine:
    """The decoder with the model of its wheel."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        self._segmenter = SpeechSegmenter(_WINDOWS)
        self.info = ModelInfo(
            name=MODEL,
            engine="pocketsphinx",
            languages=("en",),
            features=(Feature.WORD_TIME_OFFSETS, Feature.WORD_CONFIDENCE),
            version=version("pocketsphinx"),
        )

    def transcribe(
        self, samples: Samples, options: RecognitionOptions, cancelled: Callable[[], bool]
    ) -> Transcript:
        """See :class:`earshot.stt.types.Engine`. Where no speech is found nothing is decoded."""
        segments: list[Segment] = []
        windows = self._windows(samples)
        for window in windows:
            raise_if(cancelled)
            segments.extend(self._heard(samples, window))
        if not (options.word_offsets or options.word_confidence):
            segments = [replace(segment, words=()) for segment in segments]
        heard = sum(window.end - window.start for window in windows)
        return Transcript(tuple(segments), "en", (len(samples) - heard) / SAMPLE_RATE)

    def _windows(self, samples: Samples) -> list[Window]:
        windows = self._segmenter.windows(samples)
        return [Window(0, len(samples))] if windows and len(samples) <= _WHOLE * SAMPLE_RATE else windows

    def _heard(self, samples: Samples, window: Window) -> Iterator[Segment]:
        self._decode(samples[window.start : window.end].tobytes())
        words = [
            Word(
                text=_VARIANT.sub("", one.word),
                start=window.offset + one.start_frame * _FRAME,
                end=window.offset + (one.end_frame + 1) * _FRAME,
                confidence=min(1.0, one.prob),
            )
            for one in self._decoder.seg() or ()
            if not _NO_WORD.fullmatch(one.word) and one.end_frame - one.start_frame < _LONGEST / _FRAME
        ]
        return map(_segment, _stretches(words))

    def _decode(self, audio: bytes) -> None:
        # The estimates of noise and channel outlive an utterance: without this the same audio gives
        # other words later. A new decoder does the same in 0.3 s.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(audio, full_utt=True)
        self._decoder.end_utt()


def _stretches(words: list[Word]) -> Iterable[list[Word]]:
    """Words in groups, apart where the speaker pauses."""
    groups = [words[:1]] if words else []
    for before, word in pairwise(words):
        if word.start - before.end >= _PAUSE:
            groups.append([])
        groups[-1].append(word)
    return groups


def _segment(words: list[Word]) -> Segment:
    confidence = sum(word.confidence or 0.0 for word in words) / len(words)
    text = joined([word.text for word in words])
    return Segment(text, words[0].start, words[-1].end, confidence, tuple(words))


def load(model: str, options: dict[str, str]) -> PocketSphinxEngine:  # noqa: ARG001 - as all loaders
    """The model of the wheel; it takes no options. Raises ``InvalidArgumentError`` for any other."""
    if model not in {"", MODEL}:
        raise errors.InvalidArgumentError(
            f"pocketsphinx has the model {MODEL} only: leave the model empty",
            reason="MODEL_UNKNOWN",
            field="model",
        )
    return PocketSphinxEngine()
