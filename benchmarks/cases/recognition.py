"""What a second of audio costs, in seconds of one core: by library, by what is encoded, by batch."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jiwer

from benchmarks import data, harness
from benchmarks.cases import codecs
from benchmarks.cases.codecs import Spoken
from benchmarks.harness import Figure, Ratio, Report, Scale, Table
from benchmarks.peers import bare_engine, openai_whisper
from benchmarks.peers.bare_engine import Hear
from benchmarks.peers.whisper_shape import FasterWhisper, OpenAI, Work, written
from benchmarks.word_error_rate import normalised
from earshot.stt.types import SAMPLE_RATE

_TOKENS = {30: 80, 3: 10}  # of speech at an ordinary pace, by its length in seconds
_OPENAI, _INT8, _SHORT = "openai-whisper", "faster-whisper int8", "faster-whisper int8, 10 s encoded"
_BATCHES = (1, 2, 4, 8)
_SHIPPED, _ENGINE = "openai-whisper's transcribe", "our faster-whisper engine"
_WRONG = 0.05  # of the words, at most, on either side


def measure(scale: Scale) -> Report:
    """Windows of 30 s and of 3 s, then batches of them."""
    report = Report(
        "Recognition, in seconds of one core",
        "Whisper in the shape of tiny.en with random weights, greedy, one thread: the time of the processor "
        "for one window and its tokens (80 in 30 s, 10 in 3 s), the same number on either side. Then both as "
        "they are called, with a small checkpoint that hears digits: `model.transcribe` of openai-whisper as "
        "shipped, which encodes 30 s of every window, and our engine at its defaults for so small a one.",
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = written(Path(folder))
        openai, int8 = OpenAI(checkpoint), FasterWhisper(checkpoint, Path(folder))
        windows(report, openai, int8, scale)
        report.tables.append(batches(int8, scale))
    whole(report, scale)
    return report


def windows(report: Report, openai: OpenAI, int8: FasterWhisper, scale: Scale) -> None:
    """Audio-seconds per core-second of full windows, then of short clips."""
    rounds = scale.of(7, 1)
    full = {_OPENAI: per_core(30, openai.window(_TOKENS[30])), _INT8: per_core(30, int8.window(_TOKENS[30]))}
    clips = {
        _OPENAI: per_core(3, openai.window(_TOKENS[3])),
        _INT8: per_core(3, int8.window(_TOKENS[3])),
        _SHORT: per_core(3, int8.window(_TOKENS[3], seconds=10)),
    }
    unit = "audio-seconds per core-second"
    of_full, of_clips = harness.interleaved(full, rounds), harness.interleaved(clips, rounds)
    report.ratios += [
        Ratio.of(
            "faster-whisper int8 / openai-whisper, full windows", of_full[_INT8], of_full[_OPENAI], ">= 2"
        ),
        Ratio.of("short clips: 10 s encoded / 30 s encoded", of_clips[_SHORT], of_clips[_INT8], ">= 1.5"),
        Ratio.of("short clips: 10 s encoded / openai-whisper", of_clips[_SHORT], of_clips[_OPENAI]),
    ]
    report.figures += [Figure.of(f"30 s, {name}", unit, runs) for name, runs in of_full.items()]
    report.figures += [Figure.of(f"3 s, {name}", unit, runs) for name, runs in of_clips.items()]


def whole(report: Report, scale: Scale) -> None:
    """Both as they are called, from samples to words, with the checkpoint that hears digits."""
    spoken = codecs.digits(scale.of(5, 1), scale.of(60.0, 10.0))
    seconds = sum(len(one.samples) for one in spoken) / SAMPLE_RATE
    hearers = {
        _SHIPPED: openai_whisper.transcriber(data.DIGITS_MODEL),
        _ENGINE: bare_engine.speech("faster-whisper", str(data.DIGITS_MODEL)),
    }
    paces = {name: per_core(seconds, partial(hear_all, hear, spoken)) for name, hear in hearers.items()}
    runs = harness.interleaved(paces, scale.of(3, 1))
    ratio = f"{seconds / 60:g} min of digits, samples to words: {_ENGINE} / {_SHIPPED}"
    report.ratios.append(Ratio.of(ratio, runs[_ENGINE], runs[_SHIPPED], ">= 2"))
    report.figures += [
        Figure.of(f"digits, {name}", "audio-seconds per core-second", each) for name, each in runs.items()
    ]


def hear_all(hear: Hear, spoken: Sequence[Spoken]) -> None:
    """Raises AssertionError where much of it is not what was said."""
    heard = [normalised(hear(one.samples)) for one in spoken]
    wrong = jiwer.wer([normalised(one.words) for one in spoken], heard)
    assert wrong <= _WRONG, f"{wrong:.1%} of the words are wrong"


def per_core(seconds: float, work: Work) -> Callable[[], float]:
    """Audio-seconds per core-second of ``work`` on ``seconds`` of audio."""
    return lambda: seconds / core_seconds(work)


def core_seconds(work: Work) -> float:
    """Of one run: the time of the processor, which others on the machine do not lengthen much."""
    started = time.process_time()
    work()
    return time.process_time() - started


def batches(int8: FasterWhisper, scale: Scale) -> Table:
    """Core-seconds of each clip of 3 s when so many are decoded together."""
    rows: list[tuple[str | float, ...]] = []
    for seconds in (30, 10):
        works = [int8.window(_TOKENS[3], seconds, together) for together in _BATCHES]
        costs = [statistics.median(core_seconds(work) for _ in range(scale.of(3, 1))) for work in works]
        each = (cost / together for cost, together in zip(costs, _BATCHES, strict=True))
        rows.append((f"{seconds} s encoded", *(round(one, 3) for one in each)))
    columns = ("core-seconds a clip of 3 s", *(f"{together} at once" for together in _BATCHES))
    return Table("batches of clips in faster-whisper", columns, tuple(rows))
