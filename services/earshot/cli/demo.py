"""``earshot demo``: the whole way once, with what comes in the package."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from earshot import errors
from earshot.cli import output
from earshot.cli.errors import ExitCode

if TYPE_CHECKING:
    from earshot.client import AsyncClient, Classification
    from earshot.client.results import Answer
    from earshot.local.samples import Sample

LIMIT_SECONDS: Final = 180.0  # ten times what it takes: beside other work it is slower
WIDTH: Final = 150  # characters, where no terminal says
COLUMNS: Final = (
    *("input", "bytes sent", "words", "labels", "decode", "queue", "hearing", "labelling", "total"),
    "answered by",
)

app = typer.Typer(add_completion=False)


@app.command()
def demo() -> None:
    """Start the stack, send it recordings and texts, show what comes back, stop it.

    Two replicas of each service work behind Envoy, on a free port. Takes some 20 seconds.
    """
    from earshot.local.signals import until_signal

    if asyncio.run(until_signal(_within_limit())):
        raise typer.Exit(ExitCode.INTERRUPTED)


async def _within_limit() -> None:
    try:
        await asyncio.wait_for(_demo(), LIMIT_SECONDS)
    except TimeoutError as exc:
        raise errors.DeadlineExceededError(
            f"the demo was not done after {LIMIT_SECONDS:.0f} s: this machine is too slow, or too busy now"
        ) from exc


async def _demo() -> None:
    from earshot.client import AsyncClient
    from earshot.local.ports import free_ports
    from earshot.local.stack import Options, Stack
    from earshot.local.state import StateFolder

    started = time.monotonic()
    (port,) = free_ports(1)
    typer.echo("starting Envoy, 2 speech-to-text and 2 classification replicas")
    with tempfile.TemporaryDirectory(prefix="earshot-") as scratch:
        async with Stack(Options(port), StateFolder(Path(scratch)), typer.echo) as stack:
            typer.echo(f"ready on {stack.target} after {time.monotonic() - started:.1f} s")
            async with AsyncClient(stack.target) as client:
                rows = await _send(client)
            _print(rows)
    typer.echo(f"stopped; {time.monotonic() - started:.1f} s in all")


async def _send(client: AsyncClient) -> list[tuple[str, ...]]:
    """All at once: that is what the replicas are for."""
    from earshot.local import samples

    hearing = [_hear(client, sample) for sample in samples.recordings()]
    reading = [_read(client, sample) for sample in samples.texts()]
    return list(await asyncio.gather(*hearing, *reading))


async def _hear(client: AsyncClient, sample: Sample) -> tuple[str, ...]:
    path = Path(sample.content)
    content = await asyncio.to_thread(path.read_bytes)
    answer = await client.classify_speech(content, sample.labels, timeout=LIMIT_SECONDS)
    heard, scored = answer.recognition, answer.classification
    return (
        path.name,
        f"{len(content):,}",
        answer.text or "(no speech)",
        _labels(scored),
        *map(output.seconds, (heard.latency.decode, heard.latency.queue, heard.latency.inference)),
        *map(output.seconds, (scored.latency.inference, scored.latency.total)),
        f"{_who(heard)}\n{_who(scored)}",
    )


async def _read(client: AsyncClient, sample: Sample) -> tuple[str, ...]:
    text = str(sample.content)
    scored = await client.classify(text, sample.labels, timeout=LIMIT_SECONDS)
    latency = scored.latency
    return (
        *("(text)", f"{len(text.encode()):,}", text, _labels(scored), ""),
        *map(output.seconds, (latency.queue, None, latency.inference, latency.total)),
        _who(scored),
    )


def _labels(scored: Classification) -> str:
    return "\n".join(f"{each.label} {each.score:.2f}" for each in scored.labels[:2])


def _who(answer: Answer) -> str:
    return f"{answer.replica} ({answer.engine})"


def _print(rows: list[tuple[str, ...]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    Console(width=console.width if console.is_terminal else WIDTH).print(table)
