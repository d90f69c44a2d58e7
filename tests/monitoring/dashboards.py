"""The committed dashboards, and the queries in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

FOLDER = Path(__file__).resolve().parents[2] / "charts" / "earshot" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Asked:
    """A query of a panel or an annotation."""

    dashboard: str
    title: str
    expr: str


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def accepted(content: dict[str, Any]) -> bool:
    """Whether Grafana's own model takes all of it: what it reads and writes again is the same."""
    read_again = JSONEncoder(sort_keys=True).encode(Dashboard.from_json(content))
    return bool(json.loads(read_again) == content)


def panels(path: Path) -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in read(path)["panels"] if panel["type"] != "row"]


def asked() -> Iterator[Asked]:
    """Every query of every panel and annotation."""
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                yield Asked(path.stem, panel["title"], target["expr"])
        for annotation in read(path)["annotations"]["list"]:
            yield Asked(path.stem, f"annotation {annotation['name']}", annotation["expr"])


def variables() -> Iterator[tuple[str, str, str]]:
    """Dashboard, name and query of every variable that asks."""
    for path in FILES:
        for variable in read(path)["templating"]["list"]:
            if variable["type"] == "query":
                yield path.stem, variable["name"], variable["query"]
