"""Who serves, as files that Envoy watches: one for each service, replaced by an atomic rename."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from earshot.local.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TYPE: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def publish(folder: Path, cluster: str, ports: Iterable[int]) -> None:
    """From now on ``cluster`` has the replicas at these ports, and no others."""
    content = {"resources": [_assignment(cluster, ports)]}
    target = folder / f"{cluster}.json"
    made = folder / f".{cluster}.json.new"
    made.write_text(json.dumps(content), encoding="utf-8")
    made.replace(target)


def _assignment(cluster: str, ports: Iterable[int]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _address(port)}} for port in ports]
    return {"@type": _TYPE, "cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}
