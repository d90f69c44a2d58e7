"""Engines that do what their model's name says, for tests of what is around them."""

from __future__ import annotations

import itertools
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from earshot import errors
from earshot.classification import types as texts
from earshot.stt import types as speech

_SECONDS = {"slow": 1.0, "stuck": 60.0}
_SCORED = itertools.count(1)


@dataclass(frozen=True)
class FakeSpeech:
    """Hears how many samples a clip has; ``slow`` takes a second for it and ``stuck`` a minute,
    ``crash`` fails, ``abort`` dies, ``misshapen`` answers nonsense, ``echo`` hears a canary.

    ``exact`` hears which samples they are, and ``wordy`` says it in 512 KiB. ``telling`` hears what is
    personal and profane. ``guessing`` is ``exact`` and finds out the language, each time another.
    """

    info: speech.ModelInfo

    def transcribe(
        self, samples: speech.Samples, options: speech.RecognitionOptions, cancelled: Callable[[], bool]
    ) -> speech.Transcript:
        _trouble(self.info.name, samples.tobytes().decode(errors="replace"))
        if self.info.name == "misshapen":  # as an engine with a fault in it might answer
            return speech.Transcript((speech.Segment("canary", "canary", 0.0),))  # type: ignore[arg-type]
        if self.info.name in _SECONDS:
            _sleep(_SECONDS[self.info.name], cancelled)
        if not samples.any():
            return speech.Transcript()
        end = len(samples) / speech.SAMPLE_RATE
        if self.info.name == "guessing" and not options.language:
            options = replace(options, language=guess(zlib.crc32(samples)))
        if self.info.name in ("exact", "wordy", "guessing"):
            return _exact(samples, 65_536 if self.info.name == "wordy" else 1, options)
        if self.info.name == "telling":
            return _telling(end, options)
        words = (speech.Word("heard", 0.0, end / 2), speech.Word(str(len(samples)), end / 2, end, 0.5))
        text = "the canary sings" if self.info.name == "echo" else f"heard {len(samples)}"
        segment = speech.Segment(text, 0.0, end, 0.75, words if options.word_offsets else ())
        return speech.Transcript((segment,), options.language)


def guess(checksum: int) -> str:
    """The language that ``guessing`` finds in samples, by what ``exact`` hears in them."""
    return ("en", "de")[checksum % 2]


TELLING = "damn shit call four one one two now"


def _telling(end: float, options: speech.RecognitionOptions) -> speech.Transcript:
    said = TELLING.split()
    step = end / len(said)
    words = tuple(speech.Word(word, at * step, (at + 1) * step) for at, word in enumerate(said))
    segment = speech.Segment(TELLING, 0.0, end, words=words if options.word_offsets else ())
    return speech.Transcript((segment,), "en")


def _exact(samples: speech.Samples, times: int, options: speech.RecognitionOptions) -> speech.Transcript:
    end = len(samples) / speech.SAMPLE_RATE
    text = f"{zlib.crc32(samples):08x}" * times
    words = (speech.Word(text, 0.0, end),) if options.word_offsets else ()
    return speech.Transcript((speech.Segment(text, 0.0, end, 0.75, words),), options.language)


def load_speech(model: str, options: dict[str, str]) -> FakeSpeech:
    """A fake that knows English and German, and does no more than word offsets."""
    features = (speech.Feature.WORD_TIME_OFFSETS,)
    if model == "guessing":
        features += (speech.Feature.LANGUAGE_DETECTION,)
    return FakeSpeech(speech.ModelInfo(model, "fake", ("en", "de"), features, version="1"))


@dataclass(frozen=True)
class FakeTexts:
    """The longer a label's wording, the higher its score; ``slow`` takes a second for it.

    ``counting`` has never the same score for two texts.
    """

    info: texts.ModelInfo

    def classify(
        self, requests: Sequence[texts.ClassificationRequest], cancelled: Callable[[], bool]
    ) -> list[tuple[float, ...]]:
        if self.info.name == "slow":
            _sleep(1.0, cancelled)
        if any("canary" in request.text for request in requests):  # what it is warmed up with is no trouble
            _trouble(self.info.name, requests[0].text)
            if self.info.name == "misshapen":
                return [("canary",)]  # type: ignore[list-item]
        if self.info.name == "counting":
            return [(1 / next(_SCORED),) * len(request.options.labels) for request in requests]
        return [_scores(request.options) for request in requests]


def _scores(options: texts.ClassificationOptions) -> tuple[float, ...]:
    lengths = [len(wording) for wording in options.wordings]
    most = max(lengths) if options.multi_label else sum(lengths)
    return tuple(length / most for length in lengths)


def load_texts(model: str, options: dict[str, str]) -> FakeTexts:
    """A fake that knows English, and takes no template."""
    return FakeTexts(texts.ModelInfo(model, "fake", ("en",), (texts.Feature.MULTI_LABEL,), version="1"))


def _trouble(name: str, given: str) -> None:
    if name == "crash":
        raise RuntimeError(given)  # as a library's error may
    if name == "abort":
        os.abort()


def _sleep(seconds: float, cancelled: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        if cancelled():
            raise errors.CancelledError("nobody waits")
