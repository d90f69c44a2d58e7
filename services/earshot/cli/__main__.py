"""The ``earshot`` command: its name, its sub-commands, and the one place where errors end.

How a sub-command is added: a module ``earshot/cli/<name>.py`` (``-`` becomes ``_``) with a
``typer.Typer`` called ``app``, and its name in ``COMMANDS``, with the extra that it needs. A Typer
that holds one command is that command; its docstring is the help. The module is imported when the
command is called, and for the help: at its top it imports only what is light (typer, the standard
library, ``earshot.cli.*``), and the rest in the function that needs it. It raises from
``earshot.errors``; ``cli/errors.py`` prints the line and gives the exit code.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

from earshot import __version__
from earshot.cli import errors, proofs

if TYPE_CHECKING:
    from collections.abc import Mapping

# The sub-commands in the order of the help, each with the extra of the package that it needs.
COMMANDS: Final[Mapping[str, str]] = {
    "demo": "local",
    "up": "local",
    "status": "local",
    "top": "local",
    "scale": "local",
    "down": "local",
    "keys": "local",
    "transcribe": "",
    "stream": "codecs",
    "listen": "mic",
    "classify": "",
    "classify-speech": "",
    "bench": "",
    "models": "stt",
    "usage": "",
    "cluster": "cluster",
}


class Commands(TyperGroup):
    """Finds sub-commands by their modules' names, and turns what they raise into exit codes."""

    def list_commands(self, ctx: object) -> list[str]:
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | None:
        """The command of that name, its module imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"earshot.cli.{cmd_name.replace('-', '_')}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        for one in (command, *getattr(command, "commands", {}).values()):
            proofs.add_to(one)
        return cast("TyperCommand", command)

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - typer keeps the type to itself
        """Runs the sub-command; an expected error is one line on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except errors.EXPECTED as error:
            extra = COMMANDS.get(ctx.invoked_subcommand or "", "")
            raise typer.Exit(errors.report(error, extra)) from error


app = typer.Typer(
    name="earshot",
    cls=Commands,
    epilog=errors.EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"earshot {__version__}")
        raise typer.Exit


@app.callback()
def earshot(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Speech in, labels out: speech-to-text and zero-shot classification over gRPC."""


def main() -> None:
    """What the ``earshot`` script calls."""
    # The gRPC library's own notes would come between the lines that are for the reader.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if os.getpid() == 1:
        # The first process of a container is deaf to a signal that it does not handle: an init container
        # that downloads would hold up the end of its pod.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    app(prog_name="earshot")


if __name__ == "__main__":
    main()
