"""Where Envoy's spans go: to the collector of the services' own settings."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.local.dataplane import Address, Collector

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT: Final = "EARSHOT_OTLP_ENDPOINT"
SHARE: Final = "EARSHOT_TRACE_SHARE"
_DEFAULT_SHARE: Final = "0.01"  # as the services have it
_PORT: Final = 4317  # of OTLP over gRPC


def collector(environment: Mapping[str, str]) -> Collector | None:
    """The collector that ``environment`` names; None: traces are off.

    Raises:
        InvalidArgumentError: its address, or the share of calls, is none; the message names the variable.
    """
    endpoint = environment.get(ENDPOINT, "")
    return Collector(_address(endpoint), _per_million(environment), _is_tls(endpoint)) if endpoint else None


def _is_tls(endpoint: str) -> bool:
    return endpoint.startswith("https://")


def _address(endpoint: str) -> Address:
    try:
        parts = urllib.parse.urlsplit(endpoint)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, 0
    if host is None:
        raise errors.InvalidArgumentError(f"{ENDPOINT} must be as http://collector:4317", field=ENDPOINT)
    return Address(host, port)


def _per_million(environment: Mapping[str, str]) -> int:
    try:
        return round(float(environment.get(SHARE, _DEFAULT_SHARE)) * 1_000_000)
    except ValueError as exc:
        raise errors.InvalidArgumentError(f"{SHARE} must be a number from 0 to 1", field=SHARE) from exc
