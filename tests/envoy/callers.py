"""Callers with every kind of proof, and without: what they send, and what they show."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from earshot.local import private
from earshot.local.access import Access, Rates, Tokens
from earshot.local.certificates import AUTHORITY, CERTIFICATE, KEY, Signer
from earshot.local.keys import KEY_HEADER, Keys
from earshot.local.security import Protection, authority, save_keys
from earshot.local.state import StateFolder

_OWN = (("grpc.use_local_subchannel_pool", 1),)
ISSUER, AUDIENCE = "https://login.example", "speech"


@dataclass(frozen=True)
class Caller:
    """What one sends with a call, and shows at the connection's beginning."""

    headers: dict[str, str] = field(default_factory=dict)
    certificate: dict[str, bytes] = field(default_factory=dict)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.headers.items())

    def channel(self, target: str, trusted: Path) -> grpc.aio.Channel:
        """A connection of its own over TLS."""
        return grpc.aio.secure_channel(target, self._credentials(trusted), options=_OWN)

    def blocking(self, target: str, trusted: Path) -> grpc.Channel:
        """The same for a thread that may wait."""
        return grpc.secure_channel(target, self._credentials(trusted), options=_OWN)

    def _credentials(self, trusted: Path) -> grpc.ChannelCredentials:
        shown = (self.certificate.get(KEY), self.certificate.get(CERTIFICATE))
        return grpc.ssl_channel_credentials(trusted.read_bytes(), *shown)


class Registry:
    """Who is known to one Envoy: its keys, its issuer of tokens, its authority of callers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = Keys()
        self.issuer = ec.generate_private_key(ec.SECP256R1())
        self.signer = Signer.new("callers")
        private.write(folder, self.signer.pem() | {"jwks.json": _jwks(self.issuer)})

    def protection(self, clients: dict[str, Any] | None = None, rates: Rates | None = None) -> Protection:
        """Asks for any of the three proofs, over TLS."""
        tokens = Tokens(ISSUER, (AUDIENCE,), jwks_file=str(self.folder / "jwks.json"))
        certificates = str(self.folder / AUTHORITY)
        return Protection(Access(True, tokens, certificates, clients or {}, rates or Rates()), tls=True)

    def key(self, state: StateFolder, client: str) -> Caller:
        """One with a new key, which is good from now on."""
        self.keys, key = self.keys.new(client)
        save_keys(state, self.keys)
        return Caller({KEY_HEADER: key})

    def revoke(self, state: StateFolder, client: str) -> None:
        """The keys of ``client`` are good no more."""
        self.keys, _ = self.keys.revoke(client)
        save_keys(state, self.keys)

    def token(
        self, subject: str, signer: ec.EllipticCurvePrivateKey | None = None, **claims: object
    ) -> Caller:
        """One with a token, which ``claims`` may make a wrong one."""
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": int(time.time()) + 600}
        content = {name: value for name, value in (good | claims).items() if value is not None}
        text = jwt.encode(content, signer or self.issuer, algorithm="ES256", headers={"kid": "one"})
        return Caller({"authorization": f"Bearer {text}"})

    def certificate(self, name: str) -> Caller:
        """One with a certificate of the authority of callers."""
        return Caller(certificate=self.signer.issue(name))


def trusted(state: StateFolder) -> Path:
    """By what callers know Envoy."""
    return authority(state)


def _jwks(key: ec.EllipticCurvePrivateKey) -> bytes:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return json.dumps({"keys": [public | {"kid": "one", "alg": "ES256", "use": "sig"}]}).encode()
