"""``earshot status``: who runs, how they are, what they do."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from earshot.cli import output, stacks

COLUMNS: Final = (
    *("replica", "service", "phase", "health", "engine", "model", "in flight", "restarts", "pid", "port"),
)

app = typer.Typer(add_completion=False)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    state: stacks.State = None,
) -> None:
    """Show the replicas of the stack that runs on this machine.

    Health is Envoy's view of each: "healthy" gets calls, anything else says why it gets none.
    """
    answer = stacks.ask(state, "status")
    if as_json:
        output.print_json(answer)
        return
    stack = answer["stack"]
    typer.echo(
        f"{stack['target']}, process {stack['pid']}, Envoy {stack['envoy_pid']} "
        f"({stack['envoy_restarts']} restarts), figures {stack['metrics']}"
    )
    output.print_rows(COLUMNS, [_cells(replica) for replica in answer["replicas"]])


def _cells(replica: dict[str, Any]) -> list[str]:
    names = ("name", "service", "phase", "health", "engine", "model", "in_flight", "restarts", "pid", "port")
    return ["" if replica[name] is None else str(replica[name]) for name in names]
