"""docs/performance.md kept true: what stands between its markers is made from benchmarks/results/*.json.

The words around are written by hand. ``python -m benchmarks --page`` makes tables and plots anew, and a test
holds the tables against the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import RESULTS, Ratio, Report, Table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PLOTS: Final = "performance"  # folder beside the page

_BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SUMMARY: Final = "summary"


def write(results: Path = RESULTS) -> None:
    """Makes the page's figures and plots anew. Raises LookupError as :func:`rendered` does."""
    from benchmarks import plots  # noqa: PLC0415 - matplotlib is slow to import

    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    for path in sorted(results.glob("*.json")):
        plots.draw(path.stem, harness.load(path)[0], PAGE.parent / PLOTS)


def rendered(text: str, results: Path = RESULTS) -> str:
    """The page with what the results say between its markers.

    A place without a result says how to get one. Raises LookupError for a result without a place.
    """
    saved = {path.stem: harness.load(path) for path in sorted(results.glob("*.json"))}
    places = {name for _, name, _ in _BLOCK.findall(text)} - {_SUMMARY}
    if missing := saved.keys() - places:
        raise LookupError(f"docs/performance.md has no place for {', '.join(sorted(missing))}")
    return _BLOCK.sub(lambda found: found[1] + _content(found[2], saved) + found[3], text)


def _content(name: str, saved: dict[str, tuple[Report, dict[str, Any]]]) -> str:
    if name == _SUMMARY:
        lines = _summary(saved)
    elif name in saved:
        lines = _block(name, *saved[name])
    else:
        lines = iter(("", f"Not measured yet: `python -m benchmarks {name}`.", ""))
    return "".join(f"{line}\n" for line in lines)


def _summary(saved: dict[str, tuple[Report, dict[str, Any]]]) -> Iterator[str]:
    rows = [(report.title, ratio) for report, _ in saved.values() for ratio in report.ratios if ratio.bar]
    yield ""
    yield from _table(
        ("what", "ratio", "goal", ""),
        [
            (ratio.name, _number(ratio.median), ratio.bar, "met" if ratio.met else "not met")
            for _, ratio in rows
        ],
    )
    yield ""


def _block(name: str, report: Report, saved: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield report.what
    yield ""
    if report.ratios:
        yield from _table(("ratio", "median", "lowest to highest", "goal"), map(_ratio, report.ratios))
        yield ""
    if report.figures:
        rows = [(one.name, f"{_number(one.median)} {one.unit}", len(one.runs)) for one in report.figures]
        yield from _table(("figure", "median", "runs"), rows)
        yield ""
    for table in report.tables:
        yield from _titled(table)
    if report.curves:
        yield f"![{report.title}]({PLOTS}/{name}.png)"
        yield ""
    yield _provenance(saved)
    yield ""


def _titled(table: Table) -> Iterator[str]:
    yield f"{table.name}:"
    yield ""
    yield from _table(table.columns, table.rows)
    yield ""


def _ratio(ratio: Ratio) -> tuple[str, ...]:
    spread = f"{_number(ratio.lowest)} to {_number(ratio.highest)}"
    return ratio.name, f"**{_number(ratio.median)}**", spread, ratio.bar


def _provenance(saved: dict[str, Any]) -> str:
    on = saved["machine"]
    return (
        f"`{saved['command']}`, {saved['taken']}, {on['cores']} cores of {on['processor']}, "
        f"{on['memory_gib']:g} GiB. Versions and all runs: `benchmarks/results/{saved['name']}.json`."
    )


def _table(columns: tuple[str, ...], rows: Any) -> Iterator[str]:  # noqa: ANN401 - of anything printable
    yield _line(columns)
    yield "|---" * len(columns) + "|"
    for row in rows:
        yield _line(tuple(map(_number, row)))


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: object) -> str:
    """Three digits where there are more."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
