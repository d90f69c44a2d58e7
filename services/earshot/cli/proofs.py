"""Who the caller is and whom it trusts: the same options of every command that calls the service.

They are added to each command that has ``--target``, and to those that call without; they are no arguments of
its function: what was given is read here where a client is made.
"""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

import typer

if TYPE_CHECKING:
    import grpc
    from typer.core import TyperCommand

_PANEL: Final = "The service"
_WITHOUT_TARGET: Final = {"forward"}  # commands that call the service and know where it is
_GIVEN: Final[dict[str, Any]] = {}  # of the one command that runs


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of a client."""

    api_key: str
    credentials: grpc.ChannelCredentials | None
    key_in_plain_text: bool


def _keep(name: str) -> Callable[[Any], Any]:
    def callback(value: Any) -> Any:  # noqa: ANN401 - of any option
        _GIVEN[name] = value
        return value

    return callback


def _file(name: str, option: str, text: str) -> Any:  # noqa: ANN401 - typer's
    return typer.Option(
        option,
        envvar=f"EARSHOT_{name.upper()}",
        callback=_keep(name),
        exists=True,
        dir_okay=False,
        show_default=False,
        help=text,
        rich_help_panel=_PANEL,
    )


_app = typer.Typer(add_completion=False)


@_app.command()
def _options(  # noqa: PLR0913, PLR0917 - a command line
    api_key: Annotated[
        str,
        typer.Option(
            "--api-key",
            envvar="EARSHOT_API_KEY",
            callback=_keep("api_key"),
            show_default=False,
            help="API key; better in EARSHOT_API_KEY, which no other user of the machine sees.",
            rich_help_panel=_PANEL,
        ),
    ] = "",
    tls: Annotated[
        bool,
        typer.Option(
            "--tls", envvar="EARSHOT_TLS", callback=_keep("tls"), help="Use TLS.", rich_help_panel=_PANEL
        ),
    ] = False,
    ca: Annotated[
        Path | None, _file("ca", "--ca", "Who signs the service's certificate (PEM); uses TLS.")
    ] = None,
    certificate: Annotated[
        Path | None, _file("certificate", "--certificate", "Certificate that says who calls (PEM); uses TLS.")
    ] = None,
    certificate_key: Annotated[
        Path | None, _file("certificate_key", "--certificate-key", "Its key (PEM).")
    ] = None,
    key_in_plain_text: Annotated[
        bool,
        typer.Option(
            "--key-in-plain-text",
            envvar="EARSHOT_KEY_IN_PLAIN_TEXT",
            callback=_keep("key_in_plain_text"),
            help="Send the API key without TLS to another machine.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
) -> None:
    """Never called: its options are what it is for."""


def add_to(command: TyperCommand) -> None:
    """The options, where the command calls the service."""
    if command.name in _WITHOUT_TARGET or any(param.name == "target" for param in command.params):
        for param in typer.main.get_command(_app).params:
            param.expose_value = False
            command.params.append(param)


def client_options() -> ClientOptions:
    """What the command line and the environment say."""
    key: str = _GIVEN.get("api_key") or ""
    plain = bool(_GIVEN.get("key_in_plain_text"))
    return {"api_key": key, "credentials": _credentials(), "key_in_plain_text": plain}


def _credentials() -> grpc.ChannelCredentials | None:
    ca, shown, key = (_GIVEN.get(name) for name in ("ca", "certificate", "certificate_key"))
    if bool(shown) != bool(key):
        raise typer.BadParameter("a certificate and its key go together", param_hint="--certificate-key")
    if not (_GIVEN.get("tls") or ca or shown):
        return None
    import grpc

    return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in (ca, key, shown)))
