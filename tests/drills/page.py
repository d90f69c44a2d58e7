"""docs/reliability.md kept true: what stands between its markers is made from results.json.

The words around are written by hand. ``python -m tests.drills --page`` makes the tables anew, and a test
holds them against the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.drills import results
from tests.drills.cases import ALL
from tests.drills.drill import Drill
from tests.drills.results import Row

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"

_BLOCK: Final = re.compile(r"(<!-- drills: (machine|cluster) -->\n).*?(<!-- end -->)", re.DOTALL)


def write() -> None:
    """Makes the page's tables anew."""
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results.load()), encoding="utf-8")


def rendered(text: str, rows: Iterable[Row]) -> str:
    """``text`` with a row for each drill that there is between its markers."""
    kept = {row.name: row for row in rows}
    return _BLOCK.sub(lambda found: found[1] + _table(found[2] == "cluster", kept) + found[3], text)


def _table(cluster: bool, kept: dict[str, Row]) -> str:
    return "".join(f"{line}\n" for line in _lines(cluster, kept))


def _lines(cluster: bool, kept: dict[str, Row]) -> Iterator[str]:
    yield ""
    yield "| load and fault | must hold | counted | |"
    yield "|---|---|---|---|"
    for drill in ALL:
        if drill.cluster == cluster:
            yield _line(drill, kept.get(drill.name))
    yield ""
    yield from _provenance([row for row in kept.values() if row.cluster == cluster and not row.skipped])


def _line(drill: Drill, row: Row | None) -> str:
    """Counts beside what was asked then: a drill may have come to ask for more since."""
    if row is None:
        return f"| {drill.title} | {drill.must} |  | not done yet |"
    is_older = (row.title, row.must) != (drill.title, drill.must)
    verdict = f"{row.verdict}; the drill asks for more by now" if is_older else row.verdict
    return f"| {row.title} | {row.must} | {row.counted} | {verdict} |"


def _provenance(rows: list[Row]) -> Iterator[str]:
    if rows:
        days = sorted({row.taken for row in rows})
        cores = sorted({row.cores for row in rows})
        said = f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0]
        yield f"{said}, on {' or '.join(map(str, cores))} cores, load generator included."
        yield ""
