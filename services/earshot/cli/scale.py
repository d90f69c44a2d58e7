"""``earshot scale``: more or fewer replicas, while calls run."""

from __future__ import annotations

from typing import Annotated

import typer

from earshot.cli import stacks
from earshot.errors import InvalidArgumentError

app = typer.Typer(add_completion=False)


@app.command()
def scale(
    services: Annotated[
        list[str], typer.Argument(metavar="SERVICE=N", help="As stt=3 or classification=1; 1 to 64.")
    ],
    state: stacks.State = None,
) -> None:
    """Bring services to a number of replicas, while calls run.

    New replicas get calls once they are ready; those that go finish theirs first. Returns when done.
    """
    wanted = dict(map(_parse, services))
    try:
        stacks.ask(state, "scale", f"scaling to {' '.join(services)}", **wanted)
    except InvalidArgumentError as exc:
        raise typer.BadParameter(exc.message) from exc
    typer.echo(", ".join(f"{name} has {count}" for name, count in wanted.items()))


def _parse(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if not name or not count.isdecimal():
        raise typer.BadParameter(f"{text!r} is not of the form SERVICE=N, as stt=3")
    return name, int(count)
