"""Pages kept true: what stands between their markers is made from results.json.

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
from tests.drills.results import Row, number

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGES: Final = tuple(_REPOSITORY / page for page in ("docs/reliability.md", "docs/streaming.md", "README.md"))

_BLOCK: Final = re.compile(r"(<!-- drills: (machine|cluster|streams) -->\n).*?(<!-- end -->)", re.DOTALL)
_STREAMS: Final = "live streams: "  # how the titles of those begin
_COUNTED: Final = ("strikes", "words", "lost", "doubled", "changed", "reconnects")


def write() -> None:
    """Makes the tables of all pages anew."""
    for page in PAGES:
        page.write_text(rendered(page.read_text(encoding="utf-8"), results.load()), encoding="utf-8")


def rendered(text: str, rows: Iterable[Row]) -> str:
    """``text`` with a row for each drill that there is between its markers."""
    kept = {row.name: row for row in rows}
    return _BLOCK.sub(lambda found: found[1] + _table(found[2], kept) + found[3], text)


def _table(what: str, kept: dict[str, Row]) -> str:
    lines = _of_streams(kept) if what == "streams" else _lines(what == "cluster", kept)
    return "".join(f"{line}\n" for line in lines)


def _of_streams(kept: dict[str, Row]) -> Iterator[str]:
    """The same in short, of live streams alone."""
    yield ""
    yield f"| drill | streams complete | {' | '.join(_COUNTED)} |"
    yield f"|---|---|{'---|' * len(_COUNTED)}"
    for row in (kept[drill.name] for drill in ALL if drill.name in kept):
        if row.title.startswith(_STREAMS):
            told = " | ".join(number(row.counts.get(what, "")) for what in _COUNTED)
            complete = f"{row.counts.get('complete')} of {row.counts.get('streams')}"
            yield f"| {row.title.removeprefix(_STREAMS)} | {complete} | {told} |"
    yield ""


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
    return f"| {row.title} | {row.must} | {'<br>'.join(row.counted)} | {verdict} |"


def _provenance(rows: list[Row]) -> Iterator[str]:
    if rows:
        days = sorted({row.taken for row in rows})
        cores = sorted({row.cores for row in rows})
        said = f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0]
        commits = sorted({row.commit for row in rows if row.commit})
        of = f", of {', '.join(commits)}" if commits else ""
        yield f"{said}, on {' or '.join(map(str, cores))} cores, load generator included{of}."
        yield ""
