"""``earshot scale``: more or fewer replicas, while calls run."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from earshot.cli import stacks

_SERVICES: Final = ("stt", "classification")
_MOST: Final = 64  # replicas

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
    stacks.ask(state, "scale", f"scaling to {' '.join(services)}", **wanted)
    typer.echo(", ".join(f"{name} has {count}" for name, count in wanted.items()))


def _parse(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if name not in _SERVICES or not count.isdecimal():
        known = " or ".join(_SERVICES)
        raise typer.BadParameter(f"{text!r} is not of the form SERVICE=N, as stt=3; services are {known}")
    if not 1 <= int(count) <= _MOST:
        raise typer.BadParameter(f"{text!r}: a service has 1 to {_MOST} replicas")
    return name, int(count)
