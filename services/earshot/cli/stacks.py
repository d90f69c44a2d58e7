"""What the commands about the local stack share: their options, and how they reach it."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from earshot.cli import progress

if TYPE_CHECKING:
    from earshot.local.state import StateFolder

Replicas: TypeAlias = Annotated[int, typer.Option(min=1, max=64, help="Replicas.")]
Engine: TypeAlias = Annotated[str, typer.Option(help="Engine; auto: the best one whose weights are here.")]
Model: TypeAlias = Annotated[
    str, typer.Option(show_default=False, help="A name, a file or a folder; default: the engine's own.")
]
State: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        envvar="EARSHOT_STATE",
        show_envvar=True,
        show_default=False,
        file_okay=False,
        help="Folder of the stack's state, one for each stack; default: the user's own.",
    ),
]


def folder(state: Path | None) -> StateFolder:
    """The state folder that the option names."""
    from earshot.local.state import StateFolder

    return StateFolder(state)


def ask(state: Path | None, command: str, doing: str = "", **arguments: object) -> Any:  # noqa: ANN401 - JSON
    """What the running stack answers; ``doing`` stands beside the bar where that takes long.

    Raises:
        UnavailableError: no stack runs there.
    """
    from earshot.local import control

    with progress.bar(doing or command, None):
        return asyncio.run(control.call(folder(state), command, **arguments))
