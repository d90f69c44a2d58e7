"""``earshot top``: what the stack on this machine does, live."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli import output, stacks

if TYPE_CHECKING:
    from rich.console import Group

    from earshot.local.figures import Moment
    from earshot.local.frames import CodecFrame, Frame, MethodFrame, ReplicaFrame

_METHODS: Final = ("service", "method", "calls/s", "errors", "p50", "p95")
_REPLICAS: Final = (*("replica", "calls/s", "share", "in flight", "queue", "busy", "RTF", "restarts"),)
_CODECS: Final = ("codec", "audio s/s", "received/s", "saved/s")

app = typer.Typer(add_completion=False)


@app.command()
def top(
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one frame as JSON and end.")] = False,
    state: stacks.State = None,
) -> None:
    """Watch the stack that runs on this machine: calls, replicas, codecs. Ctrl-C ends.

    Figures are of the time between two looks. A share of 1.00 is an even part of the service's calls, busy
    the engines' part of the time; an RTF (real-time factor) below 1 is faster than the speaker.
    """
    if as_json or once or not sys.stdout.isatty():
        frame = asyncio.run(_first(state, interval))
        if as_json:
            output.print_json(frame)
        else:
            _print(frame)
        return
    try:
        asyncio.run(_watch(state, interval))
    except KeyboardInterrupt:
        return


async def _first(state: Path | None, interval: float) -> Frame:
    return await anext(_frames(state, interval))


async def _watch(state: Path | None, interval: float) -> None:
    from rich.live import Live

    with Live(screen=True, auto_refresh=False) as live:
        live.update(f"looking for {interval:g} s ...", refresh=True)
        async for frame in _frames(state, interval):
            live.update(_drawn(frame), refresh=True)


async def _frames(state: Path | None, interval: float) -> AsyncGenerator[Frame]:
    from earshot.local.frames import frame

    before = await _look(state)
    while True:
        await asyncio.sleep(interval)
        after = await _look(state)
        yield frame(before, after)
        before = after


async def _look(state: Path | None) -> Moment:
    from earshot.local import control, figures

    status = await control.call(stacks.folder(state), "status")
    return await figures.read(status["replicas"])


def _tables(frame: Frame) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    return [
        (_METHODS, [_method(each) for each in frame.methods]),
        (_REPLICAS, [_replica(each) for each in frame.replicas]),
        (_CODECS, [_codec(each) for each in frame.codecs]),
    ]


def _print(frame: Frame) -> None:
    for columns, rows in _tables(frame):
        output.print_rows(columns, rows)


def _drawn(frame: Frame) -> Group:
    from rich.console import Group
    from rich.text import Text

    calls = sum(each.rate for each in frame.methods)
    words = f"{len(frame.replicas)} replicas, {calls:.1f} calls/s"
    tables = [output.table(columns, rows, numbers=True) for columns, rows in _tables(frame)]
    return Group(Text(words, style="bold"), *tables, Text(f"over {frame.seconds:.1f} s; Ctrl-C ends"))


def _method(each: MethodFrame) -> tuple[str, ...]:
    times = (_time(each.p50), _time(each.p95))
    return each.service, each.method, f"{each.rate:.1f}", f"{each.errors:.1%}", *times


def _replica(each: ReplicaFrame) -> tuple[str, ...]:
    counts = (str(each.in_flight), str(each.queue))
    pace = (f"{each.busy:.0%}", _number(each.real_time_factor), str(each.restarts))
    return each.replica, f"{each.rate:.1f}", _number(each.share), *counts, *pace


def _codec(each: CodecFrame) -> tuple[str, ...]:
    return each.codec, f"{each.audio:.2f}", _bytes(each.received), _bytes(each.saved)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _time(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.{0 if value >= 0.01 else 1}f} ms"


def _bytes(value: float) -> str:
    return f"{value / 1024:.1f} KiB"
