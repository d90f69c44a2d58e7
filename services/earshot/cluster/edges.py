"""What each Envoy knows of the replicas behind it: whom it sends calls to, and why not to others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from earshot import errors
from earshot.cluster.connection import Cluster
from earshot.cluster.pods import Pod
from earshot.cluster.tunnels import fetch

ADMIN_PORT: Final = 9901  # of Envoy, on loopback in its pod
HEALTHY: Final = "healthy"
UNKNOWN: Final = "not known to it"  # a replica that this Envoy has not found yet
_PATH: Final = "/clusters?format=json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica in the eyes of one Envoy."""

    envoy: str  # the pod of that Envoy
    service: str  # Envoy's name for it, as "speech_to_text"; empty where it does not know the replica
    address: str  # host:port
    pod: str  # empty: of no pod that there is
    health: str  # "healthy", or what is wrong
    active: int  # calls that it has there now
    calls: int  # that it has sent there since it knows it


def endpoints(cluster: Cluster, envoy: Pod, replicas: Sequence[Pod]) -> list[Endpoint]:
    """All that this Envoy knows, and those of ``replicas`` that serve and that it does not know.

    Raises:
        PermissionDeniedError: this user may not forward ports.
        UnavailableError: this Envoy does not answer.
    """
    body = fetch(cluster, envoy, ADMIN_PORT, _PATH)
    try:
        clusters = json.loads(body)["cluster_statuses"]
    except (ValueError, KeyError, TypeError) as exc:
        raise errors.UnavailableError(f"pod {envoy.name} does not answer as an Envoy does") from exc
    known = list(_known(envoy, clusters, {each.address: each.name for each in replicas if each.address}))
    every = [*known, *_unknown(envoy, replicas, {each.pod for each in known})]
    return sorted(every, key=lambda each: (each.pod, each.service, each.address))


def _known(envoy: Pod, clusters: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Iterator[Endpoint]:
    for cluster in clusters:
        for host in cluster.get("host_statuses", []):
            address = host["address"].get("socket_address", {})
            # Its own admin, through which figures go out, is no replica.
            if address.get("port_value") != ADMIN_PORT:
                yield _endpoint(envoy, cluster["name"], host, names.get(address.get("address", ""), ""))


def _endpoint(envoy: Pod, service: str, host: Mapping[str, Any], pod: str) -> Endpoint:
    address = host["address"]["socket_address"]
    figures = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", [])}
    return Endpoint(
        envoy=envoy.name,
        service=service,
        address=f"{address['address']}:{address['port_value']}",
        pod=pod,
        health=_verdict(host.get("health_status", {})),
        active=figures.get("rq_active", 0),
        calls=figures.get("rq_total", 0),
    )


def _unknown(envoy: Pod, replicas: Iterable[Pod], known: set[str]) -> Iterator[Endpoint]:
    for pod in replicas:
        if pod.serving and pod.name not in known:
            yield Endpoint(envoy.name, "", pod.address, pod.name, UNKNOWN, 0, 0)


def _verdict(status: Mapping[str, object]) -> str:
    wrongs = [name.replace("_", " ") for name, value in sorted(status.items()) if value is True]
    return ", ".join(wrongs) or (HEALTHY if status.get("eds_health_status") == "HEALTHY" else "unknown")
