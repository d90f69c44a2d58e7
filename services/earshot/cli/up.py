"""``earshot up``: the whole stack on this machine, in the foreground."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli.stacks import Engine, Model, Replicas, State, folder

if TYPE_CHECKING:
    from earshot.local.groups import Group
    from earshot.local.security import Protection
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
    redis: Annotated[
        bool,
        typer.Option(
            "--redis", help="Run the redis-server on the PATH beside it, for quotas of all replicas."
        ),
    ] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Take calls by TLS only; an authority is made for it.")
    ] = False,
    require_key: Annotated[
        bool, typer.Option("--require-key", help="Take calls with an API key only; see `earshot keys`.")
    ] = False,
    access: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            show_default=False,
            help="Who may call what, with which models, and how often, in YAML; see docs/security.md.",
        ),
    ] = None,
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
        protection=_protection(access, require_key, tls),
        redis=_redis(redis),
    )
    asyncio.run(until_signal(_run(options, folder(state))))
    typer.echo("stopped")


def _protection(file: Path | None, require_key: bool, tls: bool) -> Protection:
    from earshot import errors
    from earshot.local.access import Access, read
    from earshot.local.security import Protection

    access = read(file, keys=require_key) if file else Access(keys=require_key)
    if access.certificates and not tls:
        raise errors.InvalidArgumentError("certificates are shown over TLS only: give --tls", field="access")
    return Protection(access, tls, file)


def _redis(wanted: bool) -> bool:
    """Says so where quotas would not hold as one thinks: each replica would count by itself."""
    from earshot import errors

    given = os.environ.get("EARSHOT_QUOTA_REDIS_URL")
    if wanted and given:
        raise errors.InvalidArgumentError(
            "EARSHOT_QUOTA_REDIS_URL names a Redis already: leave one of the two away", field="redis"
        )
    if os.environ.get("EARSHOT_QUOTAS") and not (wanted or given):
        typer.echo("quotas: each replica counts by itself; --redis, or EARSHOT_QUOTA_REDIS_URL, joins them")
    return wanted


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
    _announce_protection(stack)
    if stack.prometheus:
        typer.echo(f"  Prometheus: {stack.prometheus.url}")
    if stack.redis:
        typer.echo(f"  Redis: {stack.redis.url}")
    typer.echo("Ctrl-C stops; `earshot status` and `earshot scale stt=3` work from another shell")


def _announce_protection(stack: Stack) -> None:
    from earshot.local.security import authority, load_keys

    if stack.protection.tls:
        file = authority(stack.state)
        typer.echo(f"  TLS: call with --ca {file}, or EARSHOT_CA={file}; grpcurl -cacert {file}")
    if stack.protection.access.keys:
        count = len(load_keys(stack.state).records)
        typer.echo(
            f"  API keys: {count} hold; `earshot keys new NAME` makes one, for EARSHOT_API_KEY or x-api-key"
        )


def _engines(group: Group) -> str:
    kinds = {(each.engine, each.model) for each in group.replicas}
    return "; ".join(f"engine {engine}, model {model}" for engine, model in sorted(kinds))
