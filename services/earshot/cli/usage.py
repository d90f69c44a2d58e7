"""``earshot usage``: who has used how much, what it cost, and what is left."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli import options, output
from earshot.cli.errors import reaching, say
from earshot.cli.proofs import client_options

if TYPE_CHECKING:
    from earshot.client import QuotaState, Usage, UsageRecord

COLUMNS: Final = ("client", "day", "model", "calls", "audio", "characters", "cost")
QUOTA_COLUMNS: Final = ("quota", "used", "of", "resets")

app = typer.Typer(add_completion=False)


@app.command()
def usage(  # noqa: PLR0913, PLR0917 - a command line
    client: Annotated[
        str, typer.Option(show_default=False, help="Another client, for operators; default: who calls.")
    ] = "",
    everyone: Annotated[bool, typer.Option("--all", help="All clients, for operators.")] = False,
    since: Annotated[
        str,
        typer.Option("--from", metavar="DAY", show_default=False, help="As 2026-11-25; default: this month."),
    ] = "",
    until: Annotated[
        str, typer.Option("--to", metavar="DAY", show_default=False, help="Default: today.")
    ] = "",
    as_json: options.Json = False,
    target: options.Target = "localhost:8080",
    timeout: options.Timeout = 60.0,
) -> None:
    """Show what was used on each day (UTC), of each model, what it cost, and what is left of the quotas."""
    from earshot.client import Client

    if everyone and client:
        raise typer.BadParameter("it is one client, or --all", param_hint="--client")
    with reaching(target), Client(target, timeout=timeout, **client_options()) as service:
        used = service.usage("-" if everyone else client, since, until)
    if as_json:
        output.print_json(used)
    else:
        _print(used)


def _print(used: Usage) -> None:
    output.print_rows(COLUMNS, [*map(_row, used.records), _row(used.total, "total")])
    if used.quotas:
        output.print_rows(QUOTA_COLUMNS, map(_quota, used.quotas))
    if used.partial:
        say(
            "this is what one replica of one service has counted; all count together in a Redis: "
            "`earshot up --redis`, or EARSHOT_QUOTA_REDIS_URL"
        )


def _row(record: UsageRecord, name: str = "") -> tuple[str, ...]:
    return (
        name or record.client,
        record.day,
        record.model,
        str(record.calls),
        output.seconds(record.audio_seconds),
        str(record.characters),
        f"{record.cost:.4f} {record.currency}",
    )


def _quota(state: QuotaState) -> tuple[str, ...]:
    resets = datetime.fromtimestamp(state.resets_at, UTC)
    return state.quota, f"{state.used:.10g}", f"{state.limit:.10g}", f"{resets:%Y-%m-%d %H:%M:%S} UTC"
