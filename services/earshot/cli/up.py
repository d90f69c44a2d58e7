"""``earshot up``: the whole stack on this machine, in the foreground."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli.stacks import Engine, Model, Replicas, State, folder

if TYPE_CHECKING:
    from earshot.local.groups import Group
    from earshot.local.stack import Options, Stack
    from earshot.local.state import StateFolder

_STT: Final = "Speech-to-text"
_CLASSIFICATION: Final = "Classification"

app = typer.Typer(add_completion=False)


@app.command()
def up(  # noqa: PLR0913, PLR0917 - a command line
    stt: Replicas = 2,
    classification: Replicas = 2,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port for callers, on loopback.")] = 8080,
    stt_engine: Engine = "auto",
    stt_model: Model = "",
    classification_engine: Engine = "auto",
    classification_model: Model = "",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of each replica.")] = 1,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Run the Prometheus on the PATH beside it, with our rules.")
    ] = False,
    prometheus_port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port, on loopback.")] = 9090,
    state: State = None,
) -> None:
    """Run the whole stack on this machine until Ctrl-C.

    Envoy listens on one port, several replicas of each service work behind it. Ctrl-C lets the calls
    that are under way end; a second one ends them too.
    """
    from earshot.local.replicas import CLASSIFICATION, STT
    from earshot.local.signals import until_signal
    from earshot.local.stack import Fleet, Options

    options = Options(
        port=port,
        stt=Fleet(STT, stt, stt_engine, stt_model, workers),
        classification=Fleet(
            CLASSIFICATION, classification, classification_engine, classification_model, workers
        ),
        prometheus_port=prometheus_port if prometheus else None,
    )
    asyncio.run(until_signal(_run(options, folder(state))))
    typer.echo("stopped")


async def _run(options: Options, state: StateFolder) -> None:
    from earshot.local.stack import Stack

    started = time.monotonic()
    typer.echo(
        f"starting Envoy, {options.stt.replicas} speech-to-text and {options.classification.replicas} "
        f"classification replicas; logs in {state.logs}"
    )
    async with Stack(options, state, typer.echo) as stack:
        _announce(stack, time.monotonic() - started)
        await stack.asked_to_stop()
        typer.echo("stopping: asked by `earshot down`")


def _announce(stack: Stack, seconds: float) -> None:
    typer.echo(f"ready on {stack.target} after {seconds:.1f} s: gRPC, gRPC-Web and JSON")
    for group in stack.groups.values():
        typer.echo(f"  {group.service.title}: {len(group.replicas)} replicas, {_engines(group)}")
    typer.echo(f"  figures: {stack.figures}")
    if stack.prometheus:
        typer.echo(f"  Prometheus: {stack.prometheus.url}")
    typer.echo("Ctrl-C stops; `earshot status` and `earshot scale stt=3` work from another shell")


def _engines(group: Group) -> str:
    kinds = {(each.engine, each.model) for each in group.replicas}
    return "; ".join(f"engine {engine}, model {model}" for engine, model in sorted(kinds))
