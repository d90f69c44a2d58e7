"""Objects of the Kubernetes API as the API server writes them, as small as they may be."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
RELEASE, NAMESPACE = "voice", "speech"


def labels(component: str, release: str = RELEASE) -> Json:
    return {
        "app.kubernetes.io/name": "the chart's own",
        "app.kubernetes.io/part-of": "earshot",
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/component": component,
    }


def deployment(
    component: str, *, wanted: int = 1, ready: int = 1, release: str = RELEASE, **status: Any
) -> Json:
    counts = {"replicas": ready, "readyReplicas": ready, "updatedReplicas": ready, "observedGeneration": 3}
    return {
        "metadata": {
            "name": f"{release}-{component}",
            "labels": labels(component, release),
            "generation": 3,
        },
        "spec": {
            "replicas": wanted,
            "selector": {},
            "template": {"metadata": {}, "spec": {"containers": [{"name": component}]}},
        },
        "status": counts | status,
    }


def secret(name: str) -> Json:
    """One that the chart has made of a certificate."""
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels("tls")}}


def state(
    name: str, *, ready: bool = True, restarts: int = 0, now: Json | None = None, last: Json | None = None
) -> Json:
    """The status of a container; ``now`` and ``last`` as {"waiting": {...}} or {"terminated": {...}}."""
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "image": "",
        "imageID": "",
        "state": now or {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "lastState": last or {},
    }


def pod(
    name: str, component: str, *states: Json, ready: bool = True, leaving: bool = False, **status: Any
) -> Json:
    """A pod of one container, unless ``states`` say otherwise."""
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels(component)}
    if leaving:
        metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    names = [each["name"] for each in states] or [component]
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-1", "containers": [_container(each, component) for each in names]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": list(states) or [state(component, ready=ready)],
        }
        | status,
    }


def _container(name: str, component: str) -> Json:
    ports = [("edge", 8080)] if component == "envoy" else [("grpc", 50051), ("metrics", 9464)]
    declared = [{"name": port, "containerPort": number} for port, number in ports]
    return {"name": name, "image": f"registry/{name}:1", "ports": declared if name == component else []}


def autoscaler(target: str, *, metrics: list[Json], current: list[Json], **status: Any) -> Json:
    return {
        "metadata": {"name": f"{target}-hpa"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": target},
            "minReplicas": 2,
            "maxReplicas": 6,
            "metrics": metrics,
        },
        "status": {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": current} | status,
    }


def envoy_clusters(*hosts: tuple[str, str, Json]) -> Json:
    """What Envoy's admin says: for each host its cluster, its address and its health."""
    return {
        "cluster_statuses": [
            {
                "name": cluster,
                "host_statuses": [
                    {
                        "address": {"socket_address": {"address": address, "port_value": port}},
                        "stats": [
                            {"name": "rq_active", "type": "GAUGE"},
                            {"name": "rq_total", "value": "12"},
                        ],
                        "health_status": health,
                    }
                ],
            }
            for cluster, address, health in [*hosts, ("admin", "127.0.0.1", {"eds_health_status": "HEALTHY"})]
            for port in [9901 if cluster == "admin" else 50051]
        ]
    }
