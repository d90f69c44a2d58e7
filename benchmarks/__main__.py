"""Measures and writes down: ``python -m benchmarks [NAME...] [--short]``, or ``make bench``.

Without names all of it is measured, some minutes each. Results go to benchmarks/results/NAME.json and, with
``--page``, from there to docs/performance.md.
"""

from __future__ import annotations

import argparse
import pkgutil
import time
from importlib import import_module
from pathlib import Path

from benchmarks import cases, harness, page
from benchmarks.harness import Report, Scale


def main() -> None:
    """Measures what was asked for."""
    asked = arguments()
    for name in asked.names:
        started = time.monotonic()
        print(f"{name}: measuring", flush=True)
        report = import_module(f"benchmarks.cases.{name}").measure(Scale(asked.short))
        path = harness.save(name, report, Scale(asked.short), asked.results)
        tell(report)
        print(f"{name}: {time.monotonic() - started:.0f} s, written to {path}\n", flush=True)
    if asked.page:
        page.write(asked.results)


def arguments() -> argparse.Namespace:
    """Of the command line; raises SystemExit for a name that there is not."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = known()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="seconds each: that it works, not how fast")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="folder for JSON")
    parser.add_argument("--page", action="store_true", help="make docs/performance.md and its plots anew")
    asked = parser.parse_args()
    if wrong := sorted(set(asked.names) - set(names)):
        parser.error(f"there is no benchmark {', '.join(wrong)}; there are {', '.join(names)}")
    asked.names = asked.names or ([] if asked.page else names)
    return asked


def known() -> list[str]:
    """The names of all benchmarks."""
    return sorted(module.name for module in pkgutil.iter_modules(cases.__path__))


def tell(report: Report) -> None:
    """The report on standard output, ratios first."""
    print(report.title)
    for ratio in report.ratios:
        verdict = {None: "", True: f"  bar {ratio.bar}: met", False: f"  bar {ratio.bar}: NOT met"}[ratio.met]
        print(f"  {ratio.name:58} {ratio.median:8.3g}  ({ratio.lowest:.3g} to {ratio.highest:.3g}){verdict}")
    for figure in report.figures:
        print(f"  {figure.name:58} {figure.median:8.4g} {figure.unit}")
    for table in report.tables:
        print(f"  {table.name}: {' | '.join(table.columns)}")
        for row in table.rows:
            print("    " + " | ".join(map(str, row)))
    for curve in report.curves:
        print(f"  {curve.name}: " + ", ".join(f"{x:g}: {y:.3g}" for x, y in curve.points) + f" ({curve.y})")


if __name__ == "__main__":
    main()
