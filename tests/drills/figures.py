"""Figures of replicas and of Envoy, as Prometheus reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.request import urlopen

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.drills.stack import Stack


async def of_envoy(stack: Stack, name: str, **labels: str) -> float:
    """The sum of the samples of Envoy's with those labels."""
    url = (await stack.status())["stack"]["metrics"]
    return await asyncio.to_thread(at, url, name, **labels)


async def total(rows: Iterable[dict[str, Any]], name: str, **labels: str) -> float:
    """The sum over replicas, which are rows of ``earshot status``, of the samples with those labels."""
    return sum(await asyncio.gather(*(asyncio.to_thread(at, _url(row), name, **labels) for row in rows)))


def at(url: str, name: str, **labels: str) -> float:
    """The sum of the samples with those labels on the page there; of none it is 0."""
    return sum(found(url, name, **labels))


def found(url: str, name: str, **labels: str) -> list[float]:
    """The samples with those labels on the page there."""
    return list(_samples(_page(url), name, labels))


def _url(row: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{row['metrics_port']}/metrics"


def _page(url: str) -> list[Metric]:
    with urlopen(url, timeout=10) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def _samples(page: list[Metric], name: str, labels: dict[str, str]) -> Iterator[float]:
    for metric in page:
        for sample in metric.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample.value
