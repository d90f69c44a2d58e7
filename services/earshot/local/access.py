"""Who may call, what, and how often: as a file says it, and as filters of the edge.

The file of ``earshot up --access`` is this module's :class:`Access` in YAML:

    keys: true                       # API keys, of `earshot keys`
    tokens: {issuer: https://login.example, audiences: [speech], jwks_file: jwks.json}
    certificates: callers-ca.crt     # whose certificates name callers; needs --tls
    clients:                         # what each may call; what "*" may, all may
      alice: ["earshot.v1.SpeechToText/*"]
    models:                          # likewise which models each may use
      alice: ["tiny*"]
    rates: {all: {per_second: 100, burst: 200}, client: {per_second: 5, burst: 20}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from earshot import errors

CLIENT_HEADER: Final = "x-earshot-client"
EVERYONE: Final = "*"
_FORBID: Final = ConfigDict(extra="forbid")
_Count = Annotated[int, Field(ge=1, le=1_000_000_000)] | str  # a text is a chart's placeholder


@checked(frozen=True, slots=True, config=_FORBID)
class Tokens:
    """JSON Web Tokens (RFC 7519) of one issuer. The keys that sign them come from a file or a URL."""

    issuer: str
    audiences: tuple[str, ...]
    jwks_file: str = ""
    jwks_url: str = ""
    jwks_ca: str = ""  # file of who signs that place's certificate; empty: the public authorities
    claim: str = "sub"  # which claim is the client's name


@checked(frozen=True, slots=True, config=_FORBID)
class Rate:
    """Calls: so many a second, and so many at once after a rest."""

    per_second: _Count
    burst: _Count


@checked(frozen=True, slots=True, config=_FORBID)
class Rates:
    """Limits of calls; None is none."""

    all: Rate | None = None  # together
    client: Rate | None = None  # each client; where nobody is asked for a name, each address
    clients: Mapping[str, Rate | None] = field(default_factory=dict)  # some clients, in place of that


@checked(frozen=True, slots=True, config=_FORBID)
class Access:
    """As it comes: everyone who can reach the port may call everything."""

    keys: bool = False
    tokens: Tokens | None = None
    certificates: str = ""  # file of the authority that signs callers' certificates
    clients: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    rates: Rates = Rates()
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether callers must prove who they are."""
        return self.keys or self.tokens is not None or bool(self.certificates)


def read(path: Path, *, keys: bool = False) -> Access:
    """The file's access; ``keys``: keys are asked for, whatever it says.

    Raises:
        InvalidArgumentError: it cannot be read, or says what is none; the message names each place.
    """
    try:
        content = _loaded(path.read_text(encoding="utf-8"))
        access: Access = TypeAdapter(Access).validate_python(content or {})
        access = replace(access, keys=access.keys or keys)
        _check(access)
    except (OSError, ValueError) as exc:
        raise errors.InvalidArgumentError(f"{path}: {_complaint(exc)}", field="access") from exc
    return access


def _loaded(text: str) -> object:
    """Raises ``ValueError`` for what is no YAML."""
    try:
        return yaml.safe_load(text)
    except Exception as exc:  # also KeyError, for "!!bool x", or RecursionError: PyYAML lets all of them out
        raise ValueError(f"it is no YAML: {exc}") from exc


def _complaint(error: Exception) -> str:
    if isinstance(error, ValidationError):
        faults = error.errors(include_input=False, include_url=False)
        return "; ".join(f"{_path(fault)}: {fault['msg']}" for fault in faults)
    return " ".join(str(error).split())


def _path(fault: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in fault["loc"])


def _check(access: Access) -> None:
    tokens = access.tokens
    if tokens and bool(tokens.jwks_file) == bool(tokens.jwks_url):
        raise ValueError("tokens: give one of jwks_file and jwks_url")
    if tokens and tokens.jwks_url and not tokens.jwks_url.startswith("https://"):
        raise ValueError("tokens.jwks_url: keys that are believed must come by https://")
    if tokens and tokens.jwks_ca and not tokens.jwks_url:
        raise ValueError("tokens.jwks_ca: it is for a jwks_url, and there is none")
    if tokens and not tokens.audiences:
        raise ValueError("tokens.audiences: name at least one, or tokens for any other service would do here")
    if (access.clients or access.models or access.rates.clients) and not access.asks:
        raise ValueError("clients, models: nobody is asked for a name: set keys, tokens or certificates")
