"""How one machine's stack is closed: the files of keys and certificates in its state folder."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from earshot.local import certificates, keys, private, tls
from earshot.local.access import Access, Rates
from earshot.local.dataplane import Security, Socket
from earshot.local.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from earshot.local.state import StateFolder

_AUTHORITY_NAME: Final = "Earshot on this machine"


@dataclass(frozen=True, slots=True)
class Protection:
    """What is asked for."""

    access: Access = field(default_factory=Access)
    tls: bool = False

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
    _tell_envoy(state, protection.access)
    return Security(
        access=protection.access,
        keys_file=str(state.keys / keys.ENVOY),
        secrets=str(state.secrets),
        tls=protection.tls,
        inner=Socket(str(state.inner)),
    )


def load_keys(state: StateFolder) -> keys.Keys:
    """The keys of a stack; none where none was made."""
    files = (state.keys / name for name in (keys.RECORDS, keys.ENVOY))
    return keys.read({file.name: file.read_text(encoding="utf-8") for file in files if file.exists()})


def save_keys(state: StateFolder, changed: keys.Keys) -> None:
    """From now on these hold, and no others; Envoy sees it within milliseconds."""
    files = {name: text.encode() for name, text in changed.to_files().items()}
    state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.write(state.keys, files)


def authority(state: StateFolder) -> Path:
    """The file by which callers know the stack's certificate."""
    return state.tls / "edge" / certificates.AUTHORITY


def make_certificate(state: StateFolder) -> None:
    """Anew at each start, by the authority that is made once."""
    signer = certificates.Signer.kept(state.tls / "authority", _AUTHORITY_NAME)
    names = dict.fromkeys(("localhost", socket.gethostname(), LOOPBACK, "::1"))
    private.write(state.tls / "edge", signer.issue(*names))


def _tell_envoy(state: StateFolder, access: Access) -> None:
    told = {tls.EDGE: tls.certificate(tls.EDGE, str(state.tls / "edge"))}
    if access.certificates:
        told[tls.CALLERS] = tls.authority(tls.CALLERS, access.certificates)
    files = {f"{name}.json": json.dumps(content).encode() for name, content in told.items()}
    private.write(state.secrets, files)
