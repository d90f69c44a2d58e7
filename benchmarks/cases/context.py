"""What hearing less at once, or more, costs in words: digits, by what is encoded and by what is packed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jiwer
import numpy as np

from benchmarks import data
from benchmarks.harness import Report, Scale, Table
from earshot.stt.engines import faster_whisper
from earshot.stt.engines.faster_whisper import FasterWhisperEngine
from earshot.stt.engines.windowed import Hearing, Waveform
from earshot.stt.speech_segments import Window
from earshot.stt.types import SAMPLE_RATE, RecognitionOptions, Samples, Word

_GAP = np.zeros(SAMPLE_RATE // 2, np.float32)  # between pieces that share a window


@dataclass
class Tally:
    """Words wrong, of all, and what it took."""

    wrong: int = 0
    words: int = 0
    seconds: float = 0.0  # of the processor

    def add(self, said: str, heard: str) -> None:
        """One stretch; said may be nothing."""
        if said:
            found = jiwer.process_words(said, heard)
            self.wrong += found.substitutions + found.deletions + found.insertions
        else:
            self.wrong += len(heard.split())
        self.words += len(said.split())

    def row(self, name: str) -> tuple[str, float, float]:
        """For a table: per cent, and seconds of the processor."""
        return name, round(100 * self.wrong / self.words, 2), round(self.seconds, 1)


def measure(scale: Scale) -> Report:
    """First by what is encoded, then by how many stretches share a window."""
    report = Report(
        "Short clips: a shorter context, or a shared window",
        "Spoken digits of eight recordings (1,319 words) on faster-whisper int8 with the small checkpoint "
        "that knows digits. Either the encoder is given fewer than 30 s, or several stretches, as of several "
        "requests, share one window with half a second of silence between them and their words go back by "
        "their offsets. Times are of the processor, one thread.",
    )
    columns = ("", "words wrong, %", "core-seconds")
    recordings = list(read(scale))
    with tempfile.TemporaryDirectory() as cache:
        engines = [(seconds, load(seconds, cache)) for seconds in scale.of((30, 15, 10, 6, 4), (10,))]
        rows = [by_context(engine, recordings).row(f"{seconds} s") for seconds, engine in engines]
        report.tables.append(Table("seconds encoded at the least", columns, tuple(rows)))
        rows = [
            by_packing(engines[0][1], recordings, count).row(f"{count}")
            for count in scale.of((1, 2, 3, 8), (2,))
        ]
        report.tables.append(
            Table("stretches of about 2 s that share a window of 30 s", columns, tuple(rows))
        )
    return report


def load(seconds: float, cache: str) -> FasterWhisperEngine:
    """The digits checkpoint, of which so much is encoded at the least."""
    options = {"cache": cache, "device": "cpu", "context_seconds": str(seconds)}
    return faster_whisper.load(str(data.DIGITS_MODEL), options)


def read(scale: Scale) -> Iterator[tuple[Samples, list[dict[str, Any]]]]:
    """Recordings, and each word in them with its offsets."""
    for row in data.rows("digits")[: scale.of(None, 1)]:
        until = scale.of(1e9, 10.0)
        samples = data.samples(data.folder("digits") / row["file"])
        yield samples[: round(min(until * SAMPLE_RATE, 1e9))], [w for w in row["words"] if w["end_s"] < until]


def by_context(
    engine: FasterWhisperEngine, recordings: Iterable[tuple[Samples, list[dict[str, Any]]]]
) -> Tally:
    """Whole recordings."""
    tally = Tally()
    for samples, words in recordings:
        started = time.process_time()
        heard = engine.transcribe(samples, RecognitionOptions(), lambda: False)
        tally.seconds += time.process_time() - started
        tally.add(" ".join(word["word"] for word in words), heard.text.lower())
    return tally


def by_packing(
    engine: FasterWhisperEngine, recordings: Iterable[tuple[Samples, list[dict[str, Any]]]], count: int
) -> Tally:
    """``count`` stretches a window, each judged by itself."""
    tally = Tally()
    for samples, words in recordings:
        found = vars(engine)["_segmenter"].windows(samples)
        for at in range(0, len(found), count):
            group = found[at : at + count]
            started = time.process_time()
            heard = packed(engine, [samples[one.start : one.end] for one in group])
            tally.seconds += time.process_time() - started
            for window, text in zip(group, heard, strict=True):
                tally.add(said_in(window, words), text.lower())
    return tally


def packed(engine: FasterWhisperEngine, pieces: Sequence[Samples]) -> list[str]:
    """What is heard in each piece of one window."""
    parts: list[Waveform] = []
    ends: list[float] = []  # of each piece's part of the window, half of the silence after it included
    for piece in pieces:
        parts += [piece.astype(np.float32) / np.float32(32768), _GAP]
        ends.append((sum(map(len, parts)) - len(_GAP) / 2) / SAMPLE_RATE)
    heard = vars(FasterWhisperEngine)["_hear"](
        engine, np.concatenate(parts), Hearing("en", "transcribe", True, "")
    )
    words: list[Word] = [word for segment in heard.segments for word in segment.words]
    texts: list[list[str]] = [[] for _ in pieces]
    for word in words:
        middle = (word.start + word.end) / 2
        texts[min(int(np.searchsorted(ends, middle)), len(pieces) - 1)].append(word.text)
    return [" ".join(each) for each in texts]


def said_in(window: Window, words: Sequence[dict[str, Any]]) -> str:
    """The words whose middle lies in the window."""
    start, end = window.start / SAMPLE_RATE, window.end / SAMPLE_RATE
    return " ".join(word["word"] for word in words if start <= (word["start_s"] + word["end_s"]) / 2 < end)
