"""Envoy's configuration, from the one description in ``deploy/envoy``.

The description is Envoy's own messages with values that work. What differs from place to place is
set here, as fields of the parsed tree, so that no text is ever put into YAML: the machine gives
addresses and files, a chart gives placeholders, which land in quoted scalars only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

SPEECH_TO_TEXT: Final = "speech_to_text"
ZERO_SHOT_CLASSIFIER: Final = "zero_shot_classifier"
SERVICES: Final = (SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER)  # the clusters that have replicas

Tree = dict[str, Any]
Value = int | str  # a number, or a placeholder for one: Envoy reads quoted numbers as numbers


@dataclass(frozen=True, slots=True)
class Address:
    """A host and its port."""

    host: str
    port: Value


@dataclass(frozen=True, slots=True)
class FileDiscovery:
    """Replicas stand in ``<folder>/<cluster>.json``; see :mod:`earshot.local.endpoints`."""

    folder: str


@dataclass(frozen=True, slots=True)
class DnsDiscovery:
    """Replicas are the addresses of one name for each service, best with a dot at its end."""

    speech_to_text: Address
    zero_shot_classifier: Address


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go, OTLP over gRPC."""

    address: Address
    per_million: Value  # calls that are traced, where the caller has not decided
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Parameters:
    """All in which one data plane differs from another."""

    discovery: FileDiscovery | DnsDiscovery
    edge: Address  # for callers
    metrics: Address  # for scrapers and probes
    admin: Address  # Envoy's own, on loopback
    descriptors: str  # path of earshot.binpb, as Envoy will see it
    max_heap_bytes: Value = 2 << 30  # at 95 % of it no request is taken on
    max_connections: Value = 4096  # of callers, together
    collector: Collector | None = None  # None: no traces
    allowed_origins: tuple[str, ...] = ()  # web pages that may call, as "https://example.org"


def description() -> Path:
    """The folder of the description: in the installed package, else in the repository."""
    installed = Path(__file__).with_name("envoy")
    return installed if installed.is_dir() else Path(__file__).parents[3] / "deploy" / "envoy"


def render(parameters: Parameters) -> Tree:
    """Envoy's bootstrap configuration."""
    config = _load("bootstrap")
    config["static_resources"] = {
        "listeners": [_edge(parameters), _metrics(parameters)],
        "clusters": [_cluster(cluster, parameters) for cluster in _load("clusters")["clusters"]],
    }
    if parameters.collector:
        _trace(config["static_resources"], parameters.collector)
    _set_address(config["admin"], parameters.admin)
    _limit(config["overload_manager"]["resource_monitors"], parameters)
    return config


def to_yaml(config: Tree) -> str:
    """The configuration as text. Every string is quoted: Envoy takes a bare ``y`` for true."""
    return yaml.dump(config, Dumper=_Quoting, sort_keys=False, width=110)


class _Quoting(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _Quoting.represent_text)


def _load(name: str) -> Tree:
    shared: Tree = yaml.safe_load((description() / f"{name}.yaml").read_text(encoding="utf-8"))
    # Through text, so that what an anchor puts in two places becomes two things: either may be changed.
    tree: Tree = json.loads(json.dumps(shared))
    tree.pop("x-shared", None)
    return tree


def _edge(parameters: Parameters) -> Tree:
    listener = _load("edge")
    _set_address(listener, parameters.edge)
    manager = _manager(listener)
    manager["local_reply_config"] = _load("replies")
    manager["route_config"] = _load("routes")
    host = _only(manager["route_config"]["virtual_hosts"], "edge")
    origins = [{"exact": origin} for origin in parameters.allowed_origins]
    host["typed_per_filter_config"]["envoy.filters.http.cors"]["allow_origin_string_match"] = origins
    transcoder = _only(manager["http_filters"], "envoy.filters.http.grpc_json_transcoder")
    transcoder["typed_config"]["proto_descriptor"] = parameters.descriptors
    return listener


def _metrics(parameters: Parameters) -> Tree:
    listener = _load("metrics")
    _set_address(listener, parameters.metrics)
    return listener


def _cluster(cluster: Tree, parameters: Parameters) -> Tree:
    if cluster["name"] in SERVICES:
        return cluster | _discovery(cluster["name"], parameters.discovery)
    if cluster["name"] == "admin":
        _set_address(_only_endpoint(cluster), parameters.admin)
    return cluster


def _discovery(cluster: str, discovery: FileDiscovery | DnsDiscovery) -> Tree:
    if isinstance(discovery, FileDiscovery):
        part: Tree = _load("discovery")["file"]
        source = part["eds_cluster_config"]["eds_config"]["path_config_source"]
        source["path"] = f"{discovery.folder}/{cluster}.json"
        source["watched_directory"]["path"] = discovery.folder
        return part
    part = _load("discovery")["dns"]
    part["load_assignment"]["cluster_name"] = cluster
    _set_address(_only_endpoint(part), getattr(discovery, cluster))
    return part


def _limit(monitors: list[Tree], parameters: Parameters) -> None:
    heap = _only(monitors, "envoy.resource_monitors.fixed_heap")
    heap["typed_config"]["max_heap_size_bytes"] = parameters.max_heap_bytes
    connections = _only(monitors, "envoy.resource_monitors.global_downstream_max_connections")
    connections["typed_config"]["max_active_downstream_connections"] = parameters.max_connections


def _trace(resources: Tree, collector: Collector) -> None:
    part = _load("traces")
    sampler = part["manager"]["tracing"]["provider"]["typed_config"]["sampler"]
    ratio = sampler["typed_config"]["wrapped_sampler"]["typed_config"]
    ratio["sampling_percentage"]["numerator"] = collector.per_million
    _manager(resources["listeners"][0]).update(part["manager"])
    _set_address(_only_endpoint(part["cluster"]), collector.address)
    if collector.tls:
        part["transport_socket"]["typed_config"]["sni"] = collector.address.host
        part["cluster"]["transport_socket"] = part["transport_socket"]
    resources["clusters"].append(part["cluster"])


def _set_address(owner: Tree, address: Address) -> None:
    owner["address"]["socket_address"] |= {"address": address.host, "port_value": address.port}


def _manager(listener: Tree) -> Tree:
    manager: Tree = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def _only_endpoint(cluster: Tree) -> Tree:
    endpoint: Tree = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    return endpoint


def _only(named: list[Tree], name: str) -> Tree:
    (found,) = [item for item in named if item["name"] == name]
    return found
