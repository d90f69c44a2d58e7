"""Prometheus, asked over its HTTP API."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# What Grafana puts in for a dashboard's variables when all is chosen.
VARIABLES = {
    "$namespace": ".+",
    "$release": ".+",
    "$service": ".+",
    "$client": ".+",
    "$__rate_interval": "15m",  # longer than the test, however slow the machine
    "$__range": "15m",
}


def filled_in(expr: str) -> str:
    """A dashboard's query as Grafana sends it."""
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


@dataclass(frozen=True)
class Prometheus:
    """One that listens at ``url``."""

    url: str

    def values(self, expr: str) -> list[float]:
        """The value of each series that the query gives now."""
        found = self._ask("query", query=expr)
        if found["resultType"] == "scalar":
            return [float(found["result"][1])]
        return [float(sample["value"][1]) for sample in found["result"]]

    def total(self, expr: str) -> float:
        """Their sum."""
        return sum(self.values(expr))

    def by(self, label: str, expr: str) -> dict[str, float]:
        """The query's values by a label."""
        result = self._ask("query", query=expr)["result"]
        return {sample["metric"].get(label, ""): float(sample["value"][1]) for sample in result}

    def label_values(self, query: str) -> list[str]:
        """Grafana's ``label_values(series, label)``."""
        series, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        found: list[str] = self._ask(f"label/{label}/values", **{"match[]": series})
        return found

    def selectors(self, expr: str) -> Iterator[str]:
        """The series that a query reads, each as a query of its own."""
        yield from _selectors(self._ask("parse_query", query=expr))

    def exemplars(self, series: str) -> set[str]:
        """The traces of the calls that stand beside these series, of the last hour."""
        now = time.time()
        found = self._ask("query_exemplars", query=series, start=str(now - 3600), end=str(now))
        return {each["labels"]["trace_id"] for one in found for each in one["exemplars"]}

    def rules(self) -> list[dict[str, Any]]:
        """Rules and alerts as they are loaded, with their state."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]


def _selectors(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "vectorSelector":
            yield _selector(node)
        for child in node.values():
            yield from _selectors(child)
    elif isinstance(node, list):
        for child in node:
            yield from _selectors(child)


def _selector(node: dict[str, Any]) -> str:
    matchers = (f"{one['name']}{one['type']}{json.dumps(one['value'])}" for one in node["matchers"])
    return "{" + ",".join(matchers) + "}"
