"""A Prometheus in the cluster that reads all annotated pods, where prometheus-adapter looks for one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.cluster.kube import Document, kubectl, namespace

# Both kinds of job say where a series is from.
_WHERE: Final = (
    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
)
IMAGE = "docker.io/prom/prometheus:v3.16.0"


@contextlib.contextmanager
def prometheus(monitors: Iterable[Document] = (), rules: Document | None = None) -> Iterator[None]:
    """It is there for so long, as ``prometheus.monitoring:9090``.

    ``monitors``: PodMonitors, whose targets it reads too, each as a job of its own that keeps no series, so
    that none is there twice. ``rules``: the rules that it evaluates.
    """
    with namespace("monitoring") as space:
        files = {
            "prometheus.yml": json.dumps(_scraping(monitors)),
            "rules.yml": json.dumps(rules or {"groups": []}),
        }
        items = {"apiVersion": "v1", "kind": "List", "items": list(_objects(space.name, files))}
        space.kubectl("apply", "--filename", "-", text=json.dumps(items))
        try:
            space.kubectl("rollout", "status", "deployment/prometheus", "--timeout=60s")
            yield
        finally:
            kubectl("delete", "clusterrolebinding/earshot-test-prometheus")


def _objects(space: str, files: dict[str, str]) -> Iterator[Document]:
    labels = {"app": "prometheus"}
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "earshot-test-prometheus"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": space}],
    }
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "prometheus"},
        "data": files,
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prometheus"},
        "spec": {"selector": labels, "ports": [{"port": 9090}]},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "prometheus"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod()},
        },
    }


def _scraping(monitors: Iterable[Document]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": ["/etc/prometheus/rules.yml"],
        "scrape_configs": [_annotated(), *map(_monitored, monitors)],
    }


def _monitored(monitor: Document) -> dict[str, Any]:
    """A PodMonitor as the operator makes a job of it: pods by their labels, a port by its name."""
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    labels = monitor["spec"]["selector"]["matchLabels"]
    chosen = [
        {"source_labels": [_meta("label", name)], "regex": value, "action": "keep"}
        for name, value in labels.items()
    ]
    port = {
        "source_labels": ["__meta_kubernetes_pod_container_port_name"],
        "regex": endpoint["port"],
        "action": "keep",
    }
    discovery = {"role": "pod", "namespaces": {"names": [monitor["metadata"]["namespace"]]}}
    return {
        "job_name": f"podmonitor/{monitor['metadata']['name']}",
        "metrics_path": endpoint["path"],
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": [*chosen, port, *_WHERE],
        "metric_relabel_configs": [{"action": "drop", "regex": ".*", "source_labels": ["__name__"]}],
    }


def _meta(kind: str, name: str) -> str:
    """The label by which discovery tells of a pod's label or annotation."""
    return f"__meta_kubernetes_pod_{kind}_{re.sub('[^a-zA-Z0-9]', '_', name)}"


def _annotated() -> dict[str, Any]:
    """Pods by their annotations, as most installations do it."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
    relabel = [
        {"source_labels": [f"{annotation}scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{annotation}path"], "target_label": "__metrics_path__"},
        {
            "source_labels": ["__meta_kubernetes_pod_ip", f"{annotation}port"],
            "separator": ":",
            "target_label": "__address__",
        },
        *_WHERE,
    ]
    return {"job_name": "pods", "kubernetes_sd_configs": [{"role": "pod"}], "relabel_configs": relabel}


def _pod() -> dict[str, Any]:
    return {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "prometheus",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"],
                "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "50m"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/prometheus"},
                    {"name": "data", "mountPath": "/data"},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": "prometheus"}},
            {"name": "data", "emptyDir": {}},
        ],
    }
