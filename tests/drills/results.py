"""What drills have come to, kept in a file from run to run.

What is done again takes the place of what was before.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from tests.drills.drill import Count, Drill, Result

SAVED: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Row:
    """One drill."""

    name: str
    title: str
    must: str
    cluster: bool
    counts: dict[str, Count]
    broken: list[str]
    skipped: str  # why it was not done; empty where it was
    seconds: float
    taken: str  # the day
    cores: int
    details: dict[str, Any] = field(default_factory=dict)
    commit: str = ""  # of the code; empty: not known

    @classmethod
    def of(cls, drill: Drill, result: Result, seconds: float, skipped: str = "") -> Self:
        """What ``drill`` has come to."""
        return cls(
            name=drill.name,
            title=drill.title,
            must=drill.must,
            cluster=drill.cluster,
            counts=result.counts,
            broken=result.broken,
            skipped=skipped,
            seconds=round(seconds, 1),
            taken=f"{datetime.now(UTC):%Y-%m-%d}",
            commit=_commit(),
            cores=os.cpu_count() or 0,
            details=result.details,
        )

    @property
    def state(self) -> str:
        """Whether it held. What could not even be taken down did not, also where it was not done."""
        if self.broken:
            return "did not hold"
        return "not done" if self.skipped else "held"

    @property
    def verdict(self) -> str:
        """The same, and why."""
        why = "; ".join(self.broken) or self.skipped
        return f"{self.state}: {why}" if why else self.state

    @property
    def counted(self) -> list[str]:
        """Each count, in words."""
        return [f"{number(value)} {what}".strip() for what, value in self.counts.items()]

    @property
    def line(self) -> str:
        """For who watches."""
        mark = "NO " if self.broken else ""
        return f"{mark}{self.verdict} | {self.title}: {', '.join(self.counted)} | {self.seconds:g} s"


def load() -> list[Row]:
    """What is kept."""
    if not SAVED.exists():
        return []
    return [Row(**saved) for saved in json.loads(SAVED.read_text(encoding="utf-8"))]


def save(rows: Iterable[Row]) -> None:
    """Keeps ``rows``; others stay as they are. That one was not done says nothing of when it was."""
    kept = {row.name: row for row in load()}
    for row in rows:
        before = kept.get(row.name)
        if before is None or before.state == "not done" or row.state != "not done":
            kept[row.name] = row
    text = json.dumps([asdict(row) for row in kept.values()], indent=1)
    SAVED.write_text(text + "\n", encoding="utf-8")


@cache
def _commit() -> str:
    """In short, with a plus where files were changed since."""
    command = ("git", "-C", str(SAVED.parent), "describe", "--always", "--dirty=+", "--exclude=*")
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.strip()


def number(value: Count) -> str:
    """Three digits of what is measured, all of what is counted."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value
