"""What came of the calls: how many, how fast, and what went wrong, by kind."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from earshot.load.work import Answer, Work

_SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(slots=True)
class _Kind:
    unit: str
    latencies: array[float] = field(default_factory=lambda: array("d"))  # of the calls that were answered
    errors: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    amount: float = 0.0
    queue: float = 0.0
    at_work: float = 0.0


@dataclass(frozen=True, slots=True)
class KindReport:
    """One kind of call. Times are in seconds."""

    kind: str
    answered: int
    errors: dict[str, int]  # by gRPC status
    changed: int  # answers that were not what the same input gave before
    calls_per_second: float
    unit: str
    units_per_second: float
    latency: dict[str, float]  # p50, p90, p95, p99 and max, of the answered
    mean_queue: float  # waiting for a worker, as the service says
    mean_inference: float  # the engine at work, as the service says


@dataclass(frozen=True, slots=True)
class LoadReport:
    """All of it."""

    seconds: float
    kinds: tuple[KindReport, ...]

    @property
    def answered(self) -> int:
        """Calls with an answer."""
        return sum(kind.answered for kind in self.kinds)

    @property
    def failed(self) -> int:
        """Calls without one."""
        return sum(sum(kind.errors.values()) for kind in self.kinds)

    @property
    def changed(self) -> int:
        """Answers that were other than before."""
        return sum(kind.changed for kind in self.kinds)


class Tally:
    """Counts while the load goes on."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._said: dict[int, object] = {}  # by the work's identity: what it was first answered

    def expect(self, work: Work, answer: Answer) -> None:
        """The first answer, against which the others are held; it is not counted."""
        self._said[id(work)] = answer.said

    def answered(self, work: Work, answer: Answer, seconds: float) -> None:
        """A call has been answered in so many seconds."""
        kind = self._of(work)
        kind.latencies.append(seconds)
        kind.amount += answer.amount
        kind.queue += answer.queue
        kind.at_work += answer.at_work
        kind.changed += answer.said != self._said.setdefault(id(work), answer.said)

    def failed(self, work: Work, code: str) -> None:
        """A call has ended with that gRPC status."""
        self._of(work).errors[code] += 1

    @property
    def done(self) -> int:
        """Calls that have ended."""
        return sum(len(kind.latencies) + kind.errors.total() for kind in self._kinds.values())

    def report(self, seconds: float) -> LoadReport:
        """What it came to in so many seconds."""
        return LoadReport(seconds, tuple(_report(name, one, seconds) for name, one in self._kinds.items()))

    def _of(self, work: Work) -> _Kind:
        return self._kinds.setdefault(work.kind, _Kind(work.unit))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """By the nearest rank: each is one of the values; empty for none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found = {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in _SHARES.items()}
    return found | {"max": ordered[-1]}


def _report(name: str, kind: _Kind, seconds: float) -> KindReport:
    count = len(kind.latencies)
    return KindReport(
        kind=name,
        answered=count,
        errors=dict(kind.errors),
        changed=kind.changed,
        calls_per_second=count / seconds,
        unit=kind.unit,
        units_per_second=kind.amount / seconds,
        latency=percentiles(kind.latencies),
        mean_queue=kind.queue / count if count else 0.0,
        mean_inference=kind.at_work / count if count else 0.0,
    )
