"""``earshot bench``: a load on any service, and how it bears it."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from earshot.cli import inputs, options, output, progress
from earshot.cli.errors import ExitCode, reaching, say
from earshot.cli.proofs import client_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from earshot.client import Source
    from earshot.load.driver import Pace
    from earshot.load.tally import KindReport, LoadReport, Tally
    from earshot.load.work import Work

KINDS: Final = ("recognize", "classify", "classify-speech", "stream")
COLUMNS: Final = (
    *("calls", "answered", "errors", "changed", "calls/s", "work/s"),
    *("p50", "p90", "p95", "p99", "max", "queue", "engine"),
)
_LOAD, _INPUTS = "The load", "What is sent"

app = typer.Typer(add_completion=False)

Target: TypeAlias = Annotated[
    str, typer.Argument(envvar="EARSHOT_TARGET", show_envvar=True, help="host:port of the service.")
]


@app.command()
def bench(  # noqa: PLR0913, PLR0917 - a command line
    target: Target = "localhost:8080",
    mix: Annotated[
        str,
        typer.Option(help=f"Kinds of call and their weights: {', '.join(KINDS)}.", rich_help_panel=_LOAD),
    ] = "recognize=1,classify=4",
    concurrency: Annotated[
        int,
        typer.Option(
            min=0,
            help="Calls at a time; 0: 8, or 1,000 with --rate.",
            rich_help_panel=_LOAD,
            show_default=False,
        ),
    ] = 0,
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            show_default=False,
            help="Calls begun each second, answered or not; their times count from when they were due.",
            rich_help_panel=_LOAD,
        ),
    ] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.", rich_help_panel=_LOAD)] = 10.0,
    calls: Annotated[
        int, typer.Option(min=0, show_default=False, help="No more calls than these.", rich_help_panel=_LOAD)
    ] = 0,
    audio: Annotated[
        list[str] | None,
        typer.Option(
            show_default=False,
            metavar="FILE",
            help="Audio file or folder; repeatable; default: four recordings of the package.",
            rich_help_panel=_INPUTS,
        ),
    ] = None,
    text: Annotated[
        typer.FileText | None,
        typer.Option(
            "--texts-file",
            encoding="utf-8",
            show_default=False,
            help="A file with a text on each line; default: three of the package.",
            rich_help_panel=_INPUTS,
        ),
    ] = None,
    texts_per_call: Annotated[
        str, typer.Option(help="Texts in a classify call; sizes as 1,32 are mixed.", rich_help_panel=_INPUTS)
    ] = "1",
    labels: options.Labels = "",
    label: options.MoreLabels = None,
    labels_file: options.LabelsFile = None,
    timeout: options.Timeout = 60.0,
    as_json: options.Json = False,
) -> None:
    """Put a load on a service and say how it bears it: rates, percentiles, errors by code.

    Nothing is tried again. Answers are held against the first one to the same input: "changed" counts those
    that differ. Queue and engine are means that the service gives. Ctrl-C ends it early. Needs no extra.
    """
    from earshot.load.driver import Pace

    pace = Pace(concurrency, rate, seconds, calls)
    lines = [line.strip() for line in text or () if line.strip()]
    given = _Given(audio, lines, _sizes(texts_per_call))
    works = _works(_weights(mix), given, inputs.some_labels(labels, label, labels_file))
    with reaching(target):
        report, interrupted = asyncio.run(_run(target, works, pace, timeout))
    _print(report, as_json=as_json)
    if interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if report.failed:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the caller wants sent; what is missing is taken from the package."""

    audio: list[str] | None
    texts: list[str]
    sizes: list[int]  # texts in a call


async def _run(  # what there is, and whether Ctrl-C has ended it
    target: str,
    works: Sequence[tuple[Work, float]],
    pace: Pace,
    timeout: float,  # noqa: ASYNC109
) -> tuple[LoadReport, bool]:
    from earshot.client import AsyncClient, RetryPolicy
    from earshot.load.driver import Driver
    from earshot.local.signals import until_signal

    once = RetryPolicy(max_attempts=1)
    async with AsyncClient(target, timeout=timeout, retry=once, **client_options()) as client:
        driver = Driver(client, works, pace)
        await driver.warm_up()
        with progress.bar("", pace.calls or pace.seconds) as advance:
            interrupted = await until_signal(driver.run(_teller(advance, pace)))
        return driver.report(), interrupted


def _teller(advance: progress.Advance, pace: Pace) -> Callable[[float, Tally], None]:
    last = 0.0

    def tell(seconds: float, tally: Tally) -> None:
        nonlocal last
        if time.monotonic() - last > 0.1:  # of many calls, not each one
            last = time.monotonic()
            advance(tally.done if pace.calls else min(seconds, pace.seconds))

    return tell


def _works(weights: dict[str, float], given: _Given, labels: list[str]) -> list[tuple[Work, float]]:
    from earshot.load import work

    spoken, written = _recordings(given, labels), _texts(given, labels)
    makers: dict[str, Callable[[], list[Work]]] = {
        "recognize": lambda: [work.recognition(source) for source, _ in spoken],
        "classify-speech": lambda: [work.speech_classification(*one) for one in spoken],
        "stream": lambda: [work.stream(source) for source, _ in spoken],
        "classify": lambda: [
            work.classification([text] * size, chosen) for size in given.sizes for text, chosen in written
        ],
    }
    made = {kind: makers[kind]() for kind in weights}
    return [(one, weights[kind] / len(works)) for kind, works in made.items() for one in works]


def _recordings(given: _Given, labels: list[str]) -> list[tuple[Source, list[str]]]:
    """Each with the labels for it."""
    from earshot.local import samples

    if given.audio:
        return [(clip.source, labels) for clip in inputs.audio(given.audio)]
    return [(one.content, labels or list(one.labels)) for one in samples.recordings()]


def _texts(given: _Given, labels: list[str]) -> list[tuple[str, list[str]]]:
    """Each with the labels for it; raises typer.BadParameter for own texts without labels."""
    from earshot.local import samples

    if given.texts and not labels:
        raise typer.BadParameter("own texts need labels: --labels a,b,c", param_hint="--labels")
    if given.texts:
        return [(text, labels) for text in given.texts]
    return [(str(one.content), labels or list(one.labels)) for one in samples.texts()]


def _weights(mix: str) -> dict[str, float]:
    """Of ``recognize=1,stream=2``; raises typer.BadParameter."""
    found: dict[str, float] = {}
    for part in mix.split(","):
        kind, _, weight = part.strip().partition("=")
        try:
            found[kind] = float(weight or 1)
        except ValueError:
            found[kind] = -1.0
        if kind not in KINDS or not 0 <= found[kind] < float("inf"):
            known = ", ".join(KINDS)
            raise typer.BadParameter(f"{part!r} is no kind=weight; kinds are {known}", param_hint="--mix")
    weighty = {kind: weight for kind, weight in found.items() if weight}
    if not weighty:
        raise typer.BadParameter("nothing has a weight", param_hint="--mix")
    return weighty


def _sizes(listed: str) -> list[int]:
    sizes = [int(part) for part in listed.split(",") if part.strip().isdecimal()]
    if len(sizes) != len(listed.split(",")) or min(sizes) < 1:
        raise typer.BadParameter("give sizes from 1 on, as 1,32", param_hint="--texts-per-call")
    return sizes


def _print(report: LoadReport, *, as_json: bool) -> None:
    if as_json:
        output.print_json(report)
        return
    output.print_rows(COLUMNS, [_row(kind) for kind in report.kinds])
    typer.echo(f"{report.answered} answered and {report.failed} failed in {report.seconds:.1f} s")
    if report.changed:
        say(f"{report.changed} answers were not what the same input was answered at first")


def _row(kind: KindReport) -> tuple[str, ...]:
    failed = ", ".join(f"{code} {count}" for code, count in sorted(kind.errors.items())) or "0"
    times = [_milliseconds(kind.latency.get(name)) for name in ("p50", "p90", "p95", "p99", "max")]
    return (
        *(kind.kind, str(kind.answered), failed, str(kind.changed), f"{kind.calls_per_second:.1f}"),
        *(f"{kind.units_per_second:.1f} {kind.unit}", *times),
        *(_milliseconds(kind.mean_queue), _milliseconds(kind.mean_inference)),
    )


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value * 1e3:,.1f} ms"
