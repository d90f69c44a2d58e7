"""Texts a second on one core beside transformers' pipeline; how cost grows with labels and texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import data, harness
from benchmarks.harness import Curve, Figure, Ratio, Report, Scale
from benchmarks.peers import transformers_pipeline
from earshot.classification.engines import embedding, nli
from earshot.classification.engines.specimens import LABELS
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Engine

_GROWING = (1, 3, 10, 30, 100, 300, 1000)
_SECONDS = 0.5  # of each point of a curve, at least


def measure(scale: Scale) -> Report:
    """Both engines against the pipeline with ten labels, one text a call; then curves."""
    report = Report(
        "Zero-shot against transformers' pipeline",
        "Ten labels, one text a call, one core each. The pipeline and our NLI engine have the same "
        "checkpoint (random weights of six layers, 768 wide: cost only); the embedding engine has MiniLM.",
    )
    with TemporaryDirectory() as folder:
        sentences, pairs = embedding.load("", {}), _nli(Path(folder))
        against_the_pipeline(report, Path(folder) / "nli", (sentences, pairs), scale)
        grow(report, "embedding engine", sentences, scale.of(_GROWING, _GROWING[:3]))
        grow(report, "NLI engine", pairs, scale.of(_GROWING[:5], _GROWING[:2]))
    return report


def _nli(folder: Path) -> nli.NliEngine:
    checkpoint = transformers_pipeline.checkpoint(folder / "nli")
    return nli.load(str(checkpoint), {"cache": str(folder / "cache")})


def against_the_pipeline(
    report: Report, checkpoint: Path, engines: tuple[Engine, Engine], scale: Scale
) -> None:
    """Ratios, and what computes."""
    sentences, pairs = engines
    few, many = data.texts(scale.of(8, 1)), data.texts(scale.of(160, 4))
    default, batched = (transformers_pipeline.scorer(checkpoint, LABELS, size) for size in (1, len(LABELS)))
    contenders: dict[str, Callable[[], int]] = {
        "pipeline, default": lambda: default(few),
        "pipeline, batch_size 10": lambda: batched(few),
        "NLI engine": lambda: _one_by_one(pairs, few),
        "embedding engine": lambda: _one_by_one(sentences, many),
    }
    for work in contenders.values():
        work()
    paces = {name: partial(harness.per_second, work) for name, work in contenders.items()}
    runs = harness.interleaved(paces, scale.of(7, 1))
    bars = {"embedding engine": ">= 80", "NLI engine": ">= 4"}
    for name, bar in bars.items():
        for peer, wanted in (("pipeline, default", bar), ("pipeline, batch_size 10", "")):
            report.ratios.append(Ratio.of(f"{name} / {peer}", runs[name], runs[peer], wanted))
    said = {"embedding engine": sentences.info.runtime, "NLI engine": pairs.info.runtime}
    for name, found in runs.items():
        label = f"{name} ({said[name]})" if name in said else name
        report.figures.append(Figure.of(label, "texts/s", found))


def _one_by_one(engine: Engine, texts: Sequence[str]) -> int:
    options = ClassificationOptions(LABELS)
    for text in texts:
        engine.classify([ClassificationRequest(text, options)], lambda: False)
    return len(texts)


def grow(report: Report, name: str, engine: Engine, sizes: Sequence[int]) -> None:
    """An engine's cost by labels, seen before and new, and by texts; the last point against a tenth of it."""
    texts = data.texts(200)
    words = tuple(f"{text} {number}" for number, text in enumerate(texts * 5))
    ways: dict[str, Callable[[int], float]] = {
        "labels": lambda size: _milliseconds(engine, texts[:1], words[:size]),
        "new labels": lambda size: _first_time(
            engine, texts[0], [f"{word} of {size}" for word in words[:size]]
        ),
        "texts": lambda size: _milliseconds(engine, (texts * 5)[:size], LABELS),
    }
    for what, cost in ways.items():
        points = tuple((float(size), cost(size)) for size in sizes)
        (before, least), (last, most) = points[-3 if len(points) > 2 else 0], points[-1]
        growth = (most / last) / (least / before)
        report.ratios.append(
            Ratio(
                f"{name}, ms for one of {last:,.0f} {what} / of {before:,.0f}",
                *(growth, growth, growth),
                "<= 1.1",
            )
        )
        report.curves.append(Curve(f"{name}: cost of {what}", f"{what} in a request", "ms", points))


def _first_time(engine: Engine, text: str, labels: Sequence[str]) -> float:
    """Of labels that the engine has not seen."""
    options = ClassificationOptions(tuple(labels), multi_label=True)
    started = time.perf_counter()
    engine.classify([ClassificationRequest(text, options)], lambda: False)
    return 1000 * (time.perf_counter() - started)


def _milliseconds(engine: Engine, texts: Sequence[str], labels: tuple[str, ...]) -> float:
    """The quickest of several calls, the first one left out: it may have to make label vectors."""
    options = ClassificationOptions(labels, multi_label=True)
    requests = [ClassificationRequest(text, options) for text in texts]
    engine.classify(requests, lambda: False)
    taken: list[float] = []
    began = time.perf_counter()
    while not taken or time.perf_counter() - began < _SECONDS:
        started = time.perf_counter()
        engine.classify(requests, lambda: False)
        taken.append(time.perf_counter() - started)
    return 1000 * min(taken)
