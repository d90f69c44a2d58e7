"""How one machine's stack is closed: the files of keys and certificates in its state folder."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.local import certificates, keys, private, tls
from earshot.local.access import EVERYONE, Access, Rates, read
from earshot.local.dataplane import Security, Socket
from earshot.local.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from earshot.local.state import StateFolder

_AUTHORITY_NAME: Final = "Earshot on this machine"
_MODELS: Final = "models.json"
_LOOK_SECONDS: Final = 0.5  # between two looks at the file of access


@dataclass(frozen=True, slots=True)
class Protection:
    """What is asked for."""

    access: Access = field(default_factory=Access)
    tls: bool = False
    file: Path | None = None  # that the access was read from

    @property
    def on(self) -> bool:
        """Whether anything is; then the services call each other by a door of their own."""
        return self.tls or self.access.asks or self.access.rates != Rates()


def prepare(state: StateFolder, protection: Protection) -> Security:
    """Makes the files that are needed, and says what Envoy is to do by them."""
    if not protection.on:
        return Security()
    if protection.access.keys:
        save_keys(state, load_keys(state))
    if protection.tls:
        make_certificate(state)
    save_models(state, protection.access)
    _make_certificates_among_us(state)
    _tell_envoy(state, protection.access)
    return Security(
        access=protection.access,
        keys_file=str(state.keys / keys.ENVOY),
        secrets=str(state.secrets),
        tls=protection.tls,
        inner=Socket(str(state.inner)),
    )


def of_replicas(state: StateFolder, protection: Protection) -> dict[str, str]:
    """What the replicas are told of it, as environment."""
    if not protection.on:
        return {}
    told = {"EARSHOT_TLS_FOLDER": str(state.tls / "services"), "EARSHOT_SPEECH_TARGET": f"unix:{state.inner}"}
    models = {"EARSHOT_MODELS_FILE": str(state.allowed / _MODELS)} if protection.access.asks else {}
    return told | models


def load_keys(state: StateFolder) -> keys.Keys:
    """The keys of a stack; none where none was made."""
    files = (state.keys / name for name in (keys.RECORDS, keys.ENVOY))
    return keys.read({file.name: file.read_text(encoding="utf-8") for file in files if file.exists()})


def save_keys(state: StateFolder, changed: keys.Keys) -> None:
    """From now on these hold, and no others; Envoy sees it within milliseconds."""
    files = {name: text.encode() for name, text in changed.to_files().items()}
    state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.write(state.keys, files)


def save_models(state: StateFolder, access: Access) -> None:
    """From now on these may be used, and no others; the services see it within a second."""
    models = access.models or {EVERYONE: ("*",)}
    private.write(state.allowed, {_MODELS: json.dumps(models).encode()})


async def follow(state: StateFolder, protection: Protection, tell: Callable[[str], None]) -> None:
    """Models that change in the file of access hold from then on; the rest of it from the next start on."""
    file, seen = protection.file, _stamp(protection.file)
    while file:
        await asyncio.sleep(_LOOK_SECONDS)
        if (stamp := _stamp(file)) == seen:
            continue
        seen = stamp
        try:
            save_models(state, read(file, keys=protection.access.keys))
        except errors.InvalidArgumentError as exc:
            tell(f"{exc.message}; what held before holds on")
        else:
            tell(f"{file} read again: its models hold now, the rest of it from the next start on")


def _stamp(file: Path | None) -> tuple[int, int]:
    if file is None or not file.exists():
        return 0, 0
    status = file.stat()
    return status.st_mtime_ns, status.st_ino


def authority(state: StateFolder) -> Path:
    """The file by which callers know the stack's certificate."""
    return state.tls / "edge" / certificates.AUTHORITY


def make_certificate(state: StateFolder) -> None:
    """Anew at each start, by the authority that is made once."""
    signer = certificates.Signer.kept(state.tls / "authority", _AUTHORITY_NAME)
    names = dict.fromkeys(("localhost", socket.gethostname(), LOOPBACK, "::1"))
    private.write(state.tls / "edge", signer.issue(*names))


def _make_certificates_among_us(state: StateFolder) -> None:
    """For Envoy and the replicas, which answer nobody else on their ports."""
    signer = certificates.Signer.new("Earshot's own")
    private.write(state.tls / "envoy", signer.issue(tls.ENVOY_NAME))
    private.write(state.tls / "services", signer.issue(tls.SERVICES_NAME))


def _tell_envoy(state: StateFolder, access: Access) -> None:
    ours = str(state.tls / "envoy")
    told = {
        tls.EDGE: tls.certificate(tls.EDGE, str(state.tls / "edge")),
        tls.INNER: tls.certificate(tls.INNER, ours),
        tls.SERVICES: tls.authority(tls.SERVICES, f"{ours}/{certificates.AUTHORITY}", tls.SERVICES_NAME),
    }
    if access.certificates:
        told[tls.CALLERS] = tls.authority(tls.CALLERS, access.certificates)
    files = {f"{name}.json": json.dumps(content).encode() for name, content in told.items()}
    private.write(state.secrets, files)
