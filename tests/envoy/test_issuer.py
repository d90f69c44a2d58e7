"""Tokens whose issuer gives its keys by https, under an authority of its own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from earshot.local.access import Access, Tokens
from earshot.local.certificates import AUTHORITY, CERTIFICATE, KEY, Signer
from earshot.local.private import write
from earshot.local.security import Protection
from tests.envoy import harness
from tests.envoy.callers import AUDIENCE, ISSUER, Caller, Registry
from tests.envoy.door import SPEECH, call
from tests.envoy.harness import Plane, until


@dataclass
class Issuer:
    """Where keys are, and how often they were asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def issuing(folder: Path, jwks: bytes) -> Iterator[Issuer]:
    """It is there for so long; its authority is the ``ca.crt`` of ``folder``."""
    write(folder, Signer.new("issuer").issue("localhost"))
    made = Issuer("")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
            """Says nothing."""

        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"https://localhost:{server.server_port}/keys"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


async def _code(plane: Plane, caller: Caller) -> str:
    return (await call(plane.channel, caller, f"{SPEECH}/ListModels"))[0]


async def test_keys_of_tokens_come_from_their_issuer(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "known")
    place = tmp_path / "issuer"
    with issuing(place, (tmp_path / "known" / "jwks.json").read_bytes()) as issuer:
        tokens = Tokens(ISSUER, (AUDIENCE,), jwks_url=issuer.url, jwks_ca=str(place / AUTHORITY))
        async with harness.full_plane(tmp_path, Protection(Access(tokens=tokens))) as plane:

            async def is_known() -> bool:
                return await _code(plane, registry.token("alice")) == "OK"

            await until(is_known)
            stranger = registry.token("alice", ec.generate_private_key(ec.SECP256R1()))
            assert await _code(plane, stranger) == "UNAUTHENTICATED"
            assert await _code(plane, Caller()) == "UNAUTHENTICATED"
    assert set(issuer.asked) == {"/keys"}
