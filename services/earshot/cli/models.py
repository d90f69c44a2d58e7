"""``earshot models``: what the service serves, and the weights on this machine."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from earshot.cli import options, output, progress
from earshot.cli.errors import reaching
from earshot.cli.proofs import client_options

if TYPE_CHECKING:
    from earshot.client import Model
    from earshot.weights import Kind, Located

Cache: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        envvar="EARSHOT_CACHE",
        show_envvar=True,
        show_default=False,
        help="Folder of weights; default: the user's.",
    ),
]

WEIGHTS_COLUMNS: Final = ("weights", "for", "size", "on this machine")
_PREPARE: Final = "earshot.classification.engines.prepared"  # KIND MODEL CACHE
COLUMNS: Final = ("for", "model", "engine", "default", "languages", "can also", "note")

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    as_json: options.Json = False,
    target: options.Target = "localhost:8080",
    timeout: options.Timeout = 60.0,
) -> None:
    """Show the models that the service serves, or see to the weights on this machine."""
    if context.invoked_subcommand is not None:
        return
    from earshot.client import Client

    with reaching(target), Client(target, timeout=timeout, **client_options()) as client:
        served = client.list_models()
    if as_json:
        output.print_json(served)
    else:
        rows = [_row("speech", model) for model in served.speech] + [
            _row("text", model) for model in served.text
        ]
        output.print_rows(COLUMNS, rows)


@app.command("list")
def list_weights(as_json: options.Json = False, cache: Cache = None) -> None:
    """Show the weights that can be pulled, and those that are on this machine."""
    from earshot import weights

    here = {(one.kind, one.name): one for one in weights.cached(weights.cache_folder(cache or ""))}
    names = dict.fromkeys([*((one.kind, one.name) for one in weights.known()), *here])
    if as_json:
        output.print_json([_weights_data(kind, name, here.get((kind, name))) for kind, name in names])
    else:
        rows = [_weights_row(kind, name, here.get((kind, name))) for kind, name in names]
        output.print_rows(WEIGHTS_COLUMNS, rows)


@app.command()
def pull(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Weights, as `earshot models list` names them.")
    ],
    kind: Annotated[
        str,
        typer.Option(show_default=False, help="What reads them: whisper, faster-whisper, nli or embedding."),
    ] = "",
    as_json: options.Json = False,
    cache: Cache = None,
) -> None:
    """Fetch weights ahead of time, check them and make them ready; does nothing that has been done."""
    from earshot import weights

    with progress.bar(name, None, in_bytes=True) as advance:
        folder = weights.cache_folder(cache or "")
        found = weights.pull(name, _kind(kind), cache=folder, progress=advance)
    if found.kind in {weights.Kind.NLI, weights.Kind.EMBEDDING}:
        _prepare(found, folder)
    if as_json:
        output.print_json(_weights_data(found.kind, found.name, found))
    else:
        output.print_rows(WEIGHTS_COLUMNS, [_weights_row(found.kind, found.name, found)])


def _prepare(found: Located, cache: Path) -> None:
    """Has what is served of the weights made now, and not by the first replica that starts."""
    command = [sys.executable, "-W", "ignore", "-m", _PREPARE, found.kind, str(found.path), str(cache)]
    with progress.bar(f"{found.name}, in eight bits", None):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:  # it can be served all the same
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        typer.echo(f"earshot: {found.name} will be served as it is: {last}", err=True)


def _kind(kind: str) -> Kind | None:
    from earshot.weights import Kind

    try:
        return Kind(kind) if kind else None
    except ValueError as error:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(Kind)}", param_hint="--kind") from error


def _weights_data(kind: str, name: str, found: Located | None) -> dict[str, object]:
    return {
        "name": name,
        "kind": kind,
        "path": str(found.path) if found else None,
        "bytes": found.size if found else None,
        "checksum": found.checksum if found else None,
    }


def _weights_row(kind: str, name: str, found: Located | None) -> tuple[str, ...]:
    return (name, kind, f"{found.size / 1e6:.1f} MB" if found else "", str(found.path) if found else "")


def _row(kind: str, model: Model) -> tuple[str, ...]:
    few = (
        model.languages if len(model.languages) <= 4 else (model.languages[0], f"+{len(model.languages) - 1}")
    )
    return (
        kind,
        model.name,
        model.engine,
        "yes" if model.is_default else "",
        " ".join(few),
        " ".join(model.features),
        model.fallback_reason,
    )
