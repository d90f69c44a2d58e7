"""Envoy's spans: to the collector of the services' own settings."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earshot import errors
from earshot.local.trees import (
    Address,
    Tree,
    Value,
    copy,
    load,
    manager,
    only_endpoint,
    set_address,
    when,
    when_fields,
)

ENDPOINT: Final = "EARSHOT_OTLP_ENDPOINT"
SHARE: Final = "EARSHOT_TRACE_SHARE"
_DEFAULT_SHARE: Final = "0.01"  # as the services have it
_PORT: Final = 4317  # of OTLP over gRPC
_TRACED: Final = ("edge", "inner")  # listeners for calls


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go, OTLP over gRPC.

    ``conditions``: of a chart, by the name of the part that is there only then: "traces" and "tls".
    """

    address: Address
    per_million: Value  # calls that are traced, where the caller has not decided
    tls: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict)


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


def trace(resources: dict[str, list[Any]], collector: Collector) -> None:
    """Listeners for calls get a tracer, and it a cluster."""
    part, condition = load("traces"), collector.conditions.get("traces", "")
    sampler = part["manager"]["tracing"]["provider"]["typed_config"]["sampler"]
    ratio = sampler["typed_config"]["wrapped_sampler"]["typed_config"]
    ratio["sampling_percentage"]["numerator"] = collector.per_million
    for listener in resources["listeners"]:
        if isinstance(listener, dict) and listener["name"] in _TRACED:  # else a line of a template
            manager(listener).update(when_fields(condition, copy(part["manager"])))
    resources["clusters"] += when(condition, [_cluster(part, collector)])


def _cluster(part: Tree, collector: Collector) -> Tree:
    cluster: Tree = part["cluster"]
    set_address(only_endpoint(cluster), collector.address)
    if collector.tls:
        socket = part["transport_socket"]
        socket["typed_config"]["sni"] = collector.address.host
        cluster |= when_fields(collector.conditions.get("tls", ""), {"transport_socket": socket})
    return cluster
