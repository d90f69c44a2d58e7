"""Envoy's configuration, from the one description in ``deploy/envoy``.

The description is Envoy's own messages with values that work. What differs from place to place is
set here, as fields of the parsed tree, so that no text is ever put into YAML: the machine gives
addresses and files, a chart gives placeholders, which land in quoted scalars only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from earshot.local import guards, tls
from earshot.local.access import Access
from earshot.local.traces import Collector, trace
from earshot.local.trees import (
    Address,
    Tree,
    Value,
    load,
    manager,
    only,
    only_endpoint,
    set_address,
    when,
    when_fields,
)

SPEECH_TO_TEXT: Final = "speech_to_text"
ZERO_SHOT_CLASSIFIER: Final = "zero_shot_classifier"
SERVICES: Final = (SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER)  # the clusters that have replicas
ENVOYS: Final = "envoys"  # the cluster of all Envoys, which share their limits
_INNER_METHODS: Final = "SpeechToText."


@dataclass(frozen=True, slots=True)
class FileDiscovery:
    """Replicas stand in ``<folder>/<cluster>.json``; see :mod:`earshot.local.endpoints`."""

    folder: str


@dataclass(frozen=True, slots=True)
class DnsDiscovery:
    """Replicas are the addresses of one name for each service, best with a dot at its end."""

    speech_to_text: Address
    zero_shot_classifier: Address
    envoys: Address


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket in the file system, for its owner alone."""

    path: str


@dataclass(frozen=True, slots=True)
class Security:
    """Who may come in, and how it is kept from others' eyes.

    ``conditions``: of a chart, by the name of the part that is there only then; see :mod:`.guards`.
    """

    access: Access = field(default_factory=Access)
    keys_file: str = ""  # of API keys; see earshot.local.keys
    secrets: str = ""  # folder of the files of SDS; see earshot.local.tls
    tls: bool = False  # to callers
    # The door between the services, with an address by certificates; then the services want one as well.
    inner: Address | Socket | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameters:
    """All in which one data plane differs from another."""

    discovery: FileDiscovery | DnsDiscovery
    edge: Address  # for callers
    metrics: Address  # for scrapers and probes
    admin: Address  # Envoy's own, on loopback
    descriptors: str  # path of earshot.binpb, as Envoy will see it
    security: Security = field(default_factory=Security)
    max_heap_bytes: Value = 2 << 30  # at 95 % of it no request is taken on
    max_connections: Value = 4096  # of callers, together
    collector: Collector | None = None  # None: no traces
    allowed_origins: tuple[str, ...] = ()  # web pages that may call, as "https://example.org"


def render(parameters: Parameters) -> Tree:
    """Envoy's bootstrap configuration."""
    config, security = load("bootstrap"), parameters.security
    config["static_resources"] = {
        "listeners": [_edge(parameters), _metrics(parameters), *_inner(security)],
        "clusters": [
            *(_cluster(cluster, parameters) for cluster in load("clusters")["clusters"]),
            *guards.clusters(security.access, security.conditions),
            *_envoys(parameters),
        ],
    }
    if parameters.collector:
        trace(config["static_resources"], parameters.collector)
    if "several" in security.conditions:
        config |= when_fields(
            security.conditions["several"], {"cluster_manager": {"local_cluster_name": ENVOYS}}
        )
    set_address(config["admin"], parameters.admin)
    _limit(config["overload_manager"]["resource_monitors"], parameters)
    return config


def _edge(parameters: Parameters) -> Tree:
    listener, security = load("edge"), parameters.security
    set_address(listener, parameters.edge)
    hcm = manager(listener)
    hcm["local_reply_config"] = load("replies")
    hcm["route_config"] = load("routes")
    host = only(hcm["route_config"]["virtual_hosts"], "edge")
    origins = [{"exact": origin} for origin in parameters.allowed_origins]
    host["typed_per_filter_config"]["envoy.filters.http.cors"]["allow_origin_string_match"] = origins
    transcoder = only(hcm["http_filters"], "envoy.filters.http.grpc_json_transcoder")
    transcoder["typed_config"]["proto_descriptor"] = parameters.descriptors
    hcm["http_filters"] = _guarded(hcm["http_filters"], security)
    if security.tls:
        checks = bool(security.access.certificates)
        socket = tls.to_callers(security.secrets, checks=checks, conditions=security.conditions)
        chain = when_fields(security.conditions.get("tls", ""), {"transport_socket": socket})
        listener["filter_chains"][0] |= chain
    return listener


def _guarded(filters: list[Tree], security: Security) -> list[Any]:
    """Callers are known before their bodies are read; methods are looked at once JSON has become gRPC."""
    names = [each["name"] for each in filters]
    body, last = names.index("envoy.filters.http.body_size_limit"), len(filters) - 1
    known = guards.callers(security.access, security.keys_file, security.conditions)
    allowed = guards.methods(security.access, security.conditions)
    return [*filters[:body], *known, *filters[body:last], *allowed, filters[last]]


def _inner(security: Security) -> list[Any]:
    if security.inner is None:
        return []
    listener = load("inner")
    routes = load("routes")
    host = only(routes["virtual_hosts"], "edge")
    del host["typed_per_filter_config"]
    host["routes"] = [route for route in host["routes"] if route["name"].startswith(_INNER_METHODS)]
    for route in host["routes"]:
        route.pop("typed_per_filter_config", None)
    manager(listener)["route_config"] = routes
    if isinstance(security.inner, Socket):
        listener["address"] = {"pipe": {"path": security.inner.path, "mode": 0o600}}
    else:
        set_address(listener, security.inner)
        listener["filter_chains"][0]["transport_socket"] = tls.among_us(security.secrets, "inner")
    return when(security.conditions.get("inner", ""), [listener])


def _metrics(parameters: Parameters) -> Tree:
    listener = load("metrics")
    set_address(listener, parameters.metrics)
    return listener


def _cluster(cluster: Tree, parameters: Parameters) -> Tree:
    security = parameters.security
    if cluster["name"] in SERVICES:
        cluster |= _discovery(cluster["name"], parameters.discovery)
        if security.inner is not None:
            socket = {"transport_socket": tls.among_us(security.secrets, "upstream")}
            cluster |= when_fields(security.conditions.get("inner", ""), socket)
    if cluster["name"] == "admin":
        set_address(only_endpoint(cluster), parameters.admin)
    return cluster


def _envoys(parameters: Parameters) -> list[Any]:
    condition = parameters.security.conditions.get("several")
    if condition is None:
        return []
    cluster = {"name": ENVOYS, "connect_timeout": "1s"} | _discovery(ENVOYS, parameters.discovery)
    return when(condition, [cluster])


def _discovery(cluster: str, discovery: FileDiscovery | DnsDiscovery) -> Tree:
    if isinstance(discovery, FileDiscovery):
        part: Tree = load("discovery")["file"]
        source = part["eds_cluster_config"]["eds_config"]["path_config_source"]
        source["path"] = f"{discovery.folder}/{cluster}.json"
        source["watched_directory"]["path"] = discovery.folder
        return part
    part = load("discovery")["dns"]
    part["load_assignment"]["cluster_name"] = cluster
    set_address(only_endpoint(part), getattr(discovery, cluster))
    return part


def _limit(monitors: list[Tree], parameters: Parameters) -> None:
    heap = only(monitors, "envoy.resource_monitors.fixed_heap")
    heap["typed_config"]["max_heap_size_bytes"] = parameters.max_heap_bytes
    connections = only(monitors, "envoy.resource_monitors.global_downstream_max_connections")
    connections["typed_config"]["max_active_downstream_connections"] = parameters.max_connections
