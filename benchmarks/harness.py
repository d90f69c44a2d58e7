"""How things are measured: contenders take turns in one run, and what counts is their ratio.

A machine's pace drifts from minute to minute, and a ratio of two runs side by side bears it: of each
round's ratios the median is reported, with the lowest and the highest.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks import machine

RESULTS: Final = Path(__file__).parent / "results"

T = TypeVar("T")
Runs = dict[str, list[float]]  # of each contender, its figure in each round


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: all of it, or so little that it takes seconds and says only that it works."""

    short: bool = False

    def of(self, full: T, short: T) -> T:
        """The one or the other."""
        return short if self.short else full


@dataclass(frozen=True, slots=True)
class Ratio:
    """One contender's figure over another's, round by round."""

    name: str
    median: float
    lowest: float
    highest: float
    bar: str = ""  # as ">= 0.95"; empty: published, with no bar

    @classmethod
    def of(cls, name: str, above: Sequence[float], below: Sequence[float], bar: str = "") -> Ratio:
        """From figures of the same rounds."""
        each = [one / other for one, other in zip(above, below, strict=True)]
        return cls(name, statistics.median(each), min(each), max(each), bar)

    @property
    def met(self) -> bool | None:
        """Whether the median is where the bar wants it; None without a bar."""
        if not self.bar:
            return None
        sign, _, limit = self.bar.partition(" ")
        return self.median >= float(limit) if sign == ">=" else self.median <= float(limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contender did: its runs and their median."""

    name: str
    unit: str
    runs: tuple[float, ...]
    median: float

    @classmethod
    def of(cls, name: str, unit: str, runs: Sequence[float]) -> Figure:
        """From at least one run."""
        return cls(name, unit, tuple(runs), statistics.median(runs))


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that are neither: rows under columns."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """How a cost grows with the work."""

    name: str
    x: str  # what grows, with its unit
    y: str  # what it costs, with its unit
    points: tuple[tuple[float, float], ...]


@dataclass
class Report:
    """What a benchmark found; ratios first."""

    title: str
    what: str  # one or two sentences: who against whom, on what
    ratios: list[Ratio] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


def interleaved(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Runs:
    """Each contender's figure in each round; every other round goes the other way about."""
    runs: Runs = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders)
        for name in order if number % 2 == 0 else reversed(order):
            runs[name].append(contenders[name]())
    return runs


def per_second(work: Callable[[], int]) -> float:
    """How many of whatever ``work`` does, and counts, are done in a second."""
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)


def save(name: str, report: Report, scale: Scale, folder: Path = RESULTS) -> Path:
    """Writes the report, with the machine and the versions, as ``folder/NAME.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    command = f"python -m benchmarks {name}" + (" --short" if scale.short else "")
    taken = {"command": command, "taken": time.strftime("%Y-%m-%d"), "machine": machine.described()}
    content = {"name": name, **asdict(report), **taken, "versions": machine.versions()}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(_rounded(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> tuple[Report, dict[str, Any]]:
    """A report that was saved, and all that was saved with it."""
    saved = json.loads(path.read_text(encoding="utf-8"))
    return Report(
        saved["title"],
        saved["what"],
        [Ratio(**one) for one in saved["ratios"]],
        [Figure(**one) for one in saved["figures"]],
        [Table(**one) for one in saved["tables"]],
        [Curve(**one) for one in saved["curves"]],
    ), saved


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Four digits are more than any of this is worth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
