"""Draws each dashboard's panels as they look after some minutes of traffic, for docs/dashboards.md.

    python docs/draw.py [--minutes 4]      a stack of its own, with traffic and a Prometheus beside it
    python docs/draw.py --from URL         what a Prometheus that runs already has of the last minutes

Needs the extra `bench` (matplotlib). The queries are those of the dashboards, asked over a range of time;
what is drawn is plain, and no copy of Grafana's looks.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DASHBOARDS: Final = REPOSITORY / "charts" / "earshot" / "dashboards"
IMAGES: Final = Path(__file__).with_name("dashboards")
_COLUMNS: Final = 3
_STEP: Final = 4  # seconds between two points
_WIDTH, _HEIGHT = 6.4, 3.0  # inches of a panel
_DPI: Final = 90
_COLOURS: Final = 64
_MOST: Final = 8  # lines of a legend; more would be higher than the panel
_ENDS: Final = 2  # points of a limit's line; any other has more, or one
_THRESHOLDS: Final = {"yellow": "#c9a227", "red": "#c0392b"}

Series = list[tuple[dict[str, str], np.ndarray, np.ndarray]]  # labels, times, values


def main() -> None:
    """Draws all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="how long there is traffic, and is drawn")
    parser.add_argument("--from", dest="url", help="a Prometheus that has the figures already")
    asked = parser.parse_args()
    if asked.url:
        draw_all(asked.url, asked.minutes * 60)
        return
    sys.path.insert(0, str(REPOSITORY))
    from tests.monitoring.recording import recorded  # noqa: PLC0415 - only where there is a repository

    with recorded(asked.minutes * 60) as url:
        draw_all(url, asked.minutes * 60)


def draw_all(url: str, seconds: float) -> None:
    """A file for each dashboard."""
    IMAGES.mkdir(exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        figure = drawn(content, url, seconds)
        save(figure, IMAGES / f"{path.stem}.png")
        print(f"written: docs/dashboards/{path.stem}.png")  # noqa: T201 - a script


def save(figure: Figure, path: Path) -> None:
    """In few colours, which takes a third of the bytes."""
    drawing = io.BytesIO()
    figure.savefig(drawing, dpi=_DPI)
    with Image.open(drawing) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def drawn(content: dict[str, Any], url: str, seconds: float) -> Figure:
    """All rows of a dashboard, three panels beside each other."""
    rows = rows_of(content["panels"])
    heights = [-(-len(panels) // _COLUMNS) for _, panels in rows]
    figure = Figure(figsize=(_WIDTH * _COLUMNS, _HEIGHT * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    source = Source(url, seconds)
    events = [event for one in content["annotations"]["list"] for event in events_of(one, source)]
    figure.suptitle(f"{content['title']}: {content['description']}{marked(events)}", fontsize=16)
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (title, panels) in zip(parts, rows, strict=True):
        part.suptitle(title, x=0.005, ha="left", fontsize=13, color="#555555")
        draw_row(part, panels, events, source)
    return figure


def rows_of(panels: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each row's title, and what is in it."""
    rows: list[tuple[str, list[dict[str, Any]]]] = []
    for panel in panels:
        if panel["type"] == "row":
            rows.append((panel["title"], []))
        else:
            rows[-1][1].append(panel)
    return rows


def draw_row(part: SubFigure, panels: list[dict[str, Any]], events: list[Event], source: Source) -> None:
    """The panels of a row."""
    places = part.subplots(-(-len(panels) // _COLUMNS), _COLUMNS, squeeze=False).flat
    for panel, axes in zip_longest(panels, places):
        if panel is None:
            axes.set_axis_off()
            continue
        draw(axes, panel, source)
        for event in events if panel["type"] == "timeseries" else ():
            axes.axvline(event.minute, color=event.colour, linestyle=":", linewidth=1.2)


class Source:
    """A Prometheus, asked over the last ``seconds``."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url, self._seconds, self.end = url, seconds, time.time()

    @property
    def minutes(self) -> float:
        """How much is drawn."""
        return self._seconds / 60

    def ask(self, expr: str) -> Series:
        """Each series of the query, over time; what is no number is left out."""
        variables = {"$__rate_interval": "30s", "$__range": f"{self._seconds:.0f}s"}
        variables |= dict.fromkeys(("$namespace", "$release", "$service", "$client"), ".+")
        for name, value in variables.items():
            expr = expr.replace(name, value)
        asked = {"query": expr, "start": self.end - self._seconds, "end": self.end, "step": _STEP}
        url = f"{self._url}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - the Prometheus that was named
            found = json.load(answer)["data"]["result"]
        return [one for one in map(self._series, found) if not np.isnan(one[2]).all()]

    def _series(self, one: dict[str, Any]) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
        moments, values = np.array(one["values"], dtype=float).T
        return one["metric"], (moments - self.end) / 60, values


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a dashboard marks: a deployment, or replicas that came or went."""

    name: str
    colour: str
    minute: float


def events_of(annotation: dict[str, Any], source: Source) -> list[Event]:
    """When each began; what went on before is not drawn."""
    gap = 2 * _STEP / 60
    return [
        Event(annotation["name"], annotation["iconColor"], float(x[index]))
        for _, x, _ in source.ask(annotation["expr"])
        for index, before in enumerate(np.concatenate(([-source.minutes], x[:-1])))
        if x[index] - before > gap
    ]


def marked(events: list[Event]) -> str:
    """What the dotted lines are."""
    kinds = sorted({f"{event.name.lower()} in {event.colour}" for event in events})
    return f"\ndotted: {', '.join(kinds)}" if kinds else ""


def draw(axes: Axes, panel: dict[str, Any], source: Source) -> None:
    """One panel, by its kind."""
    axes.set_title(panel["title"], fontsize=10, loc="left", fontweight="bold")
    axes.tick_params(labelsize=8)
    axes.set_xlim(-source.minutes, 0)
    asked = [(target["legendFormat"], source.ask(target["expr"])) for target in panel["targets"]]
    series = [(legend_of(form, labels), x, y) for form, found in asked for labels, x, y in found]
    if not series:
        axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", transform=axes.transAxes)
        return
    {"heatmap": heat, "stat": numbers}.get(panel["type"], lines)(axes, panel, series)


def legend_of(form: str, labels: dict[str, str]) -> str:
    """What Grafana writes beside a line."""
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), form).strip()


Named = list[tuple[str, np.ndarray, np.ndarray]]


def lines(axes: Axes, panel: dict[str, Any], series: Named) -> None:
    """Values over time, on top of each other where the panel stacks them."""
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    shown = sorted(series, key=lambda one: -float(np.nanmean(one[2])))
    named = sum(np.nanmax(y) > 0 for *_, y in shown) or len(shown)  # the rest lies on the axis
    moments = np.unique(np.concatenate([x for _, x, _ in shown]))
    below = np.zeros(len(moments))
    for number, (name, x, y) in enumerate(shown):
        label = name if number < min(named, _MOST) else "_more"
        if stacked:
            above = below + np.nan_to_num(np.interp(moments, x, y, left=0, right=0))
            axes.fill_between(moments, below, above, alpha=0.6, label=label, linewidth=0)
            below = above
        else:
            axes.plot(x, y, label=label, linewidth=1.4)
    for step in steps_of(panel):
        axes.axhline(step["value"], color=_THRESHOLDS[step["color"]], linestyle="--", linewidth=0.8)
    finish(axes, panel["fieldConfig"]["defaults"]["unit"], more(named, len(shown)))


def steps_of(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """The panel's limits that are near enough to be seen."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    return [step for step in steps if step.get("value") and step["color"] in _THRESHOLDS]


def finish(axes: Axes, unit: str, rest: str) -> None:
    """Axes in the panel's unit, and a legend."""
    shown = [np.asarray(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) != _ENDS]
    top = max((float(np.nanmax(y)) for y in shown), default=None)
    if top is not None:
        axes.set_ylim(0, top * 1.15 or 1)
    elif axes.get_ylim()[1] < 1e-6:
        axes.set_ylim(0, 1)
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("minutes", fontsize=8)
    axes.grid(visible=True, alpha=0.25)
    # Beside the panel: in it, it would lie over lines.
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    axes.legend(fontsize=7, frameon=False, title=rest, title_fontsize=7, alignment="left", **place)


def more(named: int, count: int) -> str:
    """How many lines the legend leaves out."""
    parts = [f"{named - _MOST} more below"] if named > _MOST else []
    return ", ".join([*parts, f"{count - named} at zero"] if count > named else parts)


def heat(axes: Axes, panel: dict[str, Any], series: Named) -> None:
    """How many values lay in each bucket, over time."""
    bounds = sorted(series, key=lambda one: float(one[0]))
    whole = np.array([np.nan_to_num(y) for _, _, y in bounds])
    inside = np.diff(whole, axis=0, prepend=0)
    inside[inside <= 1e-9] = np.nan
    axes.pcolormesh(bounds[0][1], range(len(bounds)), inside, cmap="Oranges", norm=LogNorm())
    unit = panel["options"]["yAxis"]["unit"]
    chosen = range(0, len(bounds), 2)
    axes.set_yticks(chosen, [limit(bounds[number][0], unit) for number in chosen])
    axes.set_xlabel("minutes", fontsize=8)


def limit(text: str, unit: str) -> str:
    """A bucket's upper limit."""
    return "more" if text == "+Inf" else f"to {written(float(text), unit)}"


def numbers(axes: Axes, panel: dict[str, Any], series: Named) -> None:
    """The latest value of each, large."""
    axes.set_axis_off()
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for number, (name, _, y) in enumerate(series):
        height = 0.9 - 0.8 * number / len(series)
        size = min(22, 60 / len(series))
        axes.text(
            0.02, height, written(float(y[-1]), unit), fontsize=size, va="top", transform=axes.transAxes
        )
        axes.text(0.35, height, name, fontsize=min(11, size), va="top", transform=axes.transAxes)


_SCALES: Final = {
    "s": ((1, "s"), (1e-3, "ms"), (1e-6, "us")),
    "ms": ((1e3, "s"), (1, "ms")),
    "h": ((1, "h"), (1 / 60, "min"), (1 / 3600, "s")),
    "Bps": ((1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")),
    "percentunit": ((0.01, "%"),),
    "reqps": ((1, "/s"),),
    "cps": ((1, "/s"),),
    "d": ((1, "d"),),
    "short": ((1, ""),),
}


def written(value: float, unit: str) -> str:
    """A value as one reads it."""
    scales = _SCALES[unit]
    size, name = next((one for one in scales if abs(value) >= one[0]), scales[-1] if value else scales[0])
    return f"{value / size:.3g} {name}".strip()


if __name__ == "__main__":
    main()
