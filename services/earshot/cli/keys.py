"""``earshot keys``: API keys, of the stack on this machine or of a release in a cluster."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Protocol, TypeAlias

import typer

from earshot.cli import options, output
from earshot.cli.stacks import State, folder

if TYPE_CHECKING:
    from earshot.local.keys import Keys, Record
    from earshot.local.state import StateFolder

COLUMNS: Final = ("id", "client", "created")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="API keys: make, list and revoke them. A change holds at once, without a restart.",
)


SecretName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--secret",
        envvar="EARSHOT_KEYS_SECRET",
        show_envvar=True,
        show_default=False,
        help="Secret of a cluster (a release's is RELEASE-api-keys), in place of the stack on this machine.",
    ),
]
Namespace: TypeAlias = Annotated[
    str, typer.Option("--namespace", "-n", show_default=False, help="Its namespace; default: the context's.")
]


@app.command()
def new(
    client: Annotated[str, typer.Argument(help="Name of the client whose key it is.")],
    as_json: options.Json = False,
    secret: SecretName = "",
    namespace: Namespace = "",
    state: State = None,
) -> None:
    """Make a key for a client and print it: this once, as only its hash is kept to be listed."""
    store = _store(secret, namespace, state)
    keys, key = store.load().new(client)
    store.save(keys)
    if as_json:
        output.print_json(_data(keys.records[-1]) | {"key": key})
    else:
        typer.echo(key)


@app.command(name="list")
def list_keys(
    as_json: options.Json = False, secret: SecretName = "", namespace: Namespace = "", state: State = None
) -> None:
    """List the keys that hold, by their ids."""
    records = _store(secret, namespace, state).load().records
    if as_json:
        output.print_json([_data(record) for record in records])
    else:
        output.print_rows(COLUMNS, [(record.id, record.client, record.created) for record in records])


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID|CLIENT", help="A key's id, or a client: all of its.")],
    as_json: options.Json = False,
    secret: SecretName = "",
    namespace: Namespace = "",
    state: State = None,
) -> None:
    """Revoke a key, or all keys of a client. Streams that run already go on to their end."""
    store = _store(secret, namespace, state)
    keys, gone = store.load().revoke(name)
    store.save(keys)
    if as_json:
        output.print_json([_data(record) for record in gone])
    else:
        output.print_rows(COLUMNS, [(record.id, record.client, record.created) for record in gone])


class _Store(Protocol):
    """Where keys are kept."""

    def load(self) -> Keys: ...

    def save(self, keys: Keys) -> None: ...


class _Machine:
    """On this machine, in a stack's state folder."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state

    def load(self) -> Keys:
        from earshot.local.security import load_keys

        return load_keys(self._state)

    def save(self, keys: Keys) -> None:
        from earshot.local.security import save_keys

        save_keys(self._state, keys)


class _Cluster:
    """In a Secret, which Envoy's pods have as files."""

    def __init__(self, name: str, namespace: str) -> None:
        from earshot.cluster.secrets import Secret

        self._secret = Secret(name, namespace)

    def load(self) -> Keys:
        from earshot.local.keys import read

        return read(self._secret.load())

    def save(self, keys: Keys) -> None:
        self._secret.save(keys.to_files())


def _store(secret: str, namespace: str, state: State) -> _Store:
    return _Cluster(secret, namespace) if secret else _Machine(folder(state))


def _data(record: Record) -> dict[str, str]:
    return {"id": record.id, "client": record.client, "created": record.created}
