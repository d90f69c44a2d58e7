"""``earshot keys``: API keys of the stack on this machine."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from earshot.cli import options, output
from earshot.cli.stacks import State, folder

if TYPE_CHECKING:
    from earshot.local.keys import Keys, Record

COLUMNS: Final = ("id", "client", "created")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="API keys: make, list and revoke them. A change holds at once, without a restart.",
)


@app.command()
def new(
    client: Annotated[str, typer.Argument(help="Name of the client whose key it is.")],
    as_json: options.Json = False,
    state: State = None,
) -> None:
    """Make a key for a client and print it: this once, as only its hash is kept to be listed."""
    store = _Store(state)
    keys, key = store.load().new(client)
    store.save(keys)
    if as_json:
        output.print_json(_data(keys.records[-1]) | {"key": key})
    else:
        typer.echo(key)


@app.command(name="list")
def list_keys(as_json: options.Json = False, state: State = None) -> None:
    """List the keys that hold, by their ids."""
    records = _Store(state).load().records
    if as_json:
        output.print_json([_data(record) for record in records])
    else:
        output.print_rows(COLUMNS, [(record.id, record.client, record.created) for record in records])


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID|CLIENT", help="A key's id, or a client: all of its.")],
    as_json: options.Json = False,
    state: State = None,
) -> None:
    """Revoke a key, or all keys of a client. Streams that run already go on to their end."""
    store = _Store(state)
    keys, gone = store.load().revoke(name)
    store.save(keys)
    if as_json:
        output.print_json([_data(record) for record in gone])
    else:
        output.print_rows(COLUMNS, [(record.id, record.client, record.created) for record in gone])


class _Store:
    """Where keys are kept: on this machine."""

    def __init__(self, state: State) -> None:
        self._state = folder(state)

    def load(self) -> Keys:
        from earshot.local.security import load_keys

        return load_keys(self._state)

    def save(self, keys: Keys) -> None:
        from earshot.local.security import save_keys

        save_keys(self._state, keys)


def _data(record: Record) -> dict[str, str]:
    return {"id": record.id, "client": record.client, "created": record.created}
