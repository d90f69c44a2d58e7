"""Counters and histograms of every call, as the event loop alone keeps them.

A call adds to nine series. With a library's objects, each with a lock of its own and looked up by its
labels, that is a measurable part of a call (``python -m benchmarks observing``); here it is plain numbers.
Who scrapes reads them from another thread, which the interpreter's lock makes safe.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from typing import Final, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from earshot.runtime.catalog import Kind, Spec

ChildT = TypeVar("ChildT")
_FAMILIES: Final = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}


class Count:
    """A number, of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Spread:
    """Values in buckets, of a histogram."""

    __slots__ = ("_bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: beyond all bounds
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}  # the newest of each bucket

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """``exemplar``: by which labels what led to ``value`` is found."""
        bucket = bisect_left(self._bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if exemplar:
            self.exemplars[bucket] = Exemplar(exemplar, value, time.time())


class _Series(ABC, Generic[ChildT]):
    """All series of one metric, by the values of its labels."""

    def __init__(self, registry: CollectorRegistry, spec: Spec, make: Callable[[], ChildT]) -> None:
        self._spec, self._make = spec, make
        # Read by another thread than writes it, so by copy(), which is one step: a tuple of the items makes
        # objects, at which the garbage collector may run, and the other thread after it.
        self._children: dict[tuple[str, ...], ChildT] = {}
        registry.register(self)

    def of(self, *labels: str) -> ChildT:
        """The one of these labels, in the order of the catalogue; made when first asked for."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._make()
        return child

    @abstractmethod
    def collect(self) -> Iterator[Metric]:
        """As the registry asks."""


class Counts(_Series[Count]):
    """A counter or a gauge."""

    def __init__(self, registry: CollectorRegistry, spec: Spec) -> None:
        super().__init__(registry, spec, Count)

    def collect(self) -> Iterator[Metric]:
        spec = self._spec
        family = _FAMILIES[spec.kind](spec.name, spec.meaning, labels=spec.labels)
        for labels, count in self._children.copy().items():
            family.add_metric(labels, count.value)
        yield family


class Spreads(_Series[Spread]):
    """A histogram."""

    def __init__(self, registry: CollectorRegistry, spec: Spec) -> None:
        self._les = tuple(map(floatToGoString, (*spec.buckets, float("inf"))))
        super().__init__(registry, spec, partial(Spread, spec.buckets))

    def collect(self) -> Iterator[Metric]:
        spec = self._spec
        family = HistogramMetricFamily(spec.name, spec.meaning, labels=spec.labels)
        for labels, spread in self._children.copy().items():
            family.add_metric(labels, self._buckets(spread), spread.total)
        yield family

    def _buckets(self, spread: Spread) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Up to each bound, as Prometheus has them."""
        counts, exemplars = accumulate(tuple(spread.counts)), dict(spread.exemplars)
        return [
            (le, count, exemplars[at]) if at in exemplars else (le, count)
            for at, (le, count) in enumerate(zip(self._les, counts, strict=True))
        ]
