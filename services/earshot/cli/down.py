"""``earshot down``: stop the stack that runs on this machine."""

from __future__ import annotations

import time
from typing import Final

import typer

from earshot import errors
from earshot.cli import progress, stacks

PATIENCE: Final = 90.0  # seconds; a stack that drains takes at most about 50

app = typer.Typer(add_completion=False)


@app.command()
def down(state: stacks.State = None) -> None:
    """Stop the stack that runs on this machine; calls that are under way may end first."""
    process = stacks.ask(state, "down")
    folder = stacks.folder(state)
    deadline = time.monotonic() + PATIENCE
    with progress.bar("stopping", None):
        while folder.holder() == process:
            if time.monotonic() > deadline:
                raise errors.DeadlineExceededError(f"process {process} still runs after {PATIENCE:.0f} s")
            time.sleep(0.1)
    typer.echo("stopped")
