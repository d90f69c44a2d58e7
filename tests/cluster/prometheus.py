"""A Prometheus in the cluster that reads all annotated pods, where prometheus-adapter looks for one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.cluster.kube import Document, kubectl, namespace

IMAGE = "docker.io/prom/prometheus:v3.16.0"


@contextlib.contextmanager
def prometheus() -> Iterator[None]:
    """It is there for so long, as ``prometheus.monitoring:9090``."""
    with namespace("monitoring") as space:
        items = {"apiVersion": "v1", "kind": "List", "items": list(_objects(space.name))}
        space.kubectl("apply", "--filename", "-", text=json.dumps(items))
        try:
            space.kubectl("rollout", "status", "deployment/prometheus", "--timeout=60s")
            yield
        finally:
            kubectl("delete", "clusterrolebinding/earshot-test-prometheus")


def _objects(space: str) -> Iterator[Document]:
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
        "data": {"prometheus.yml": json.dumps(_scraping())},
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


def _scraping() -> dict[str, Any]:
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
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ]
    job = {"job_name": "pods", "kubernetes_sd_configs": [{"role": "pod"}], "relabel_configs": relabel}
    return {"global": {"scrape_interval": "2s"}, "scrape_configs": [job]}


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
