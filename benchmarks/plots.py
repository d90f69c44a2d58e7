"""Plots of results, by matplotlib; they show again what the tables say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.harness import Curve, Report

_WIDTH, _HEIGHT = 4.6, 3.4  # inches of one plot
_DPI: Final = 110


def draw(name: str, report: Report, folder: Path) -> None:
    """A plot for each kind of curve of the report, side by side, as ``folder/NAME.png``."""
    axes = list(dict.fromkeys((curve.x, curve.y) for curve in report.curves))
    if not axes:
        return
    figure = Figure(figsize=(_WIDTH * len(axes), _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    drawn = figure.subplots(1, len(axes), squeeze=False)[0]
    for (x, y), one in zip(axes, drawn, strict=True):
        _draw(one, x, y, [curve for curve in report.curves if (curve.x, curve.y) == (x, y)])
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})


def _draw(axes: Axes, x: str, y: str, curves: list[Curve]) -> None:
    for curve in curves:
        axes.plot(*zip(*curve.points, strict=True), marker="o", markersize=3.5, label=curve.name)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if _spans_decades([point[0] for curve in curves for point in curve.points]):
        axes.set_xscale("log")
        axes.set_yscale("log")
        _write_plainly(axes.xaxis, (1,))
        _write_plainly(axes.yaxis, (1, 2, 5))
    else:
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7)


def _write_plainly(axis: Axis, steps: tuple[int, ...]) -> None:
    """As 20 and not as 2 x 10^1; ``steps`` in each decade."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _spans_decades(values: list[float]) -> bool:
    least = min(values)
    return least > 0 and max(values) / least >= 50
