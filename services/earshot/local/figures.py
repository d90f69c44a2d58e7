"""The figures of a running stack: read twice, and what happened between."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earshot import errors
from earshot.local import http

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that one replica exposes at a moment."""

    samples: Mapping[tuple[str, Labels], float]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series that have these labels."""
        return sum(value for _, value in self.series(name, **labels))

    def series(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """The series of that name that have these labels, with all of theirs."""
        wanted = labels.items()
        for (one, found), value in self.samples.items():
            if one == name and wanted <= dict(found).items():
                yield dict(found), value

    def values(self, name: str, label: str) -> list[str]:
        """The values of a label, in order."""
        return sorted({found[label] for found, _ in self.series(name)})

    def since(self, before: Reading) -> Reading:
        """By how much each series has grown; one that began again has grown from zero."""
        grown = {}
        for key, value in self.samples.items():
            was = before.samples.get(key, 0.0)
            grown[key] = value - was if value >= was else value
        return Reading(grown)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the replicas said, and when, by ``time.monotonic``. Keyed by name and port: a replica that was
    started again is another.
    """

    at: float
    replicas: Mapping[tuple[str, int], tuple[dict[str, Any], Reading]]  # status, as `earshot status` has it


async def read(replicas: Sequence[dict[str, Any]]) -> Moment:
    """The figures of the replicas of a status; those that do not answer are left out."""
    answers = await asyncio.gather(*(_read(each["metrics_port"]) for each in replicas))
    found = {
        (each["name"], each["port"]): (each, reading)
        for each, reading in zip(replicas, answers, strict=True)
        if reading is not None
    }
    return Moment(time.monotonic(), found)


def merged(readings: Sequence[Reading]) -> Reading:
    """Several replicas as one."""
    samples: dict[tuple[str, Labels], float] = {}
    for reading in readings:
        for key, value in reading.samples.items():
            samples[key] = samples.get(key, 0.0) + value
    return Reading(samples)


def quantile(share: float, grown: Reading, name: str, **labels: str) -> float | None:
    """A quantile of what a histogram has seen, linear within a bucket as in Prometheus; None: nothing.

    What lies beyond the last bucket counts as its limit.
    """
    buckets: dict[float, float] = {}
    for found, count in grown.series(f"{name}_bucket", **labels):
        limit = float(found["le"])
        buckets[limit] = buckets.get(limit, 0.0) + count
    wanted = share * buckets.get(float("inf"), 0.0)
    low, below = 0.0, 0.0
    for limit in sorted(buckets):
        if wanted and buckets[limit] >= wanted:
            inside = buckets[limit] - below
            return low if limit == float("inf") else low + (limit - low) * (wanted - below) / inside
        low, below = limit, buckets[limit]
    return None


def parse(text: str) -> Reading:
    """What stands in a page of metrics."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - slow to import

    return Reading(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


async def _read(port: int) -> Reading | None:
    try:
        return parse(await http.fetch(port, "/metrics"))
    except errors.UnavailableError:
        return None
