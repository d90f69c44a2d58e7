"""*Data plane*: who gets the calls?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring.panels import About, Limits, Panel, Query, board, lines, numbers
from monitoring.selectors import PODS, REPLICAS, quantile, rate, total

_SERVICES = f'{PODS},envoy_cluster_name=~"speech_to_text|zero_shot_classifier"'
_CLUSTER = "envoy_cluster_name"
_LEGEND = "{{envoy_cluster_name}}"
_BREAKER = "envoy_cluster_circuit_breakers_default_rq_open"
_MEMBERS = "envoy_cluster_membership"
_SCALER = "kube_horizontalpodautoscaler"
_CONNECTIONS = "envoy_cluster_upstream_cx"
_NO_CERTIFICATE = "4e9"  # about what Envoy says where it has none: the most that 32 bits hold
_SCALED = "{{horizontalpodautoscaler}}"


def data_plane() -> Dashboard:
    """The dashboard for calls that go astray."""
    rows = [
        ("Shares", _shares()),
        ("Calls through Envoy", _calls()),
        ("Replicas as Envoy sees them", _replicas()),
        ("Connections", _connections()),
    ]
    return board("earshot-data-plane", "Earshot / Data plane", "Who gets the calls?", rows, by_client=False)


def _shares() -> list[Panel]:
    calls = rate("earshot_requests_total", REPLICAS, "component, pod")
    even = f"avg by (component) ({calls})"
    hpa = 'namespace=~"$namespace",horizontalpodautoscaler=~"$release-(stt|classification|envoy)"'
    return [
        lines(
            About(
                "Share of each replica",
                "Its calls over an even share of its service's: 1 is even, 2 is twice that.",
                "short",
                Limits(1.5, 2),
            ),
            Query(f"{calls} / on (component) group_left () ({even} > 0)", "{{pod}}"),
        ),
        lines(
            About("Work in each replica", "Calls that hold a permit: waiting or at work.", "short"),
            Query(total("earshot_admitted_requests", REPLICAS, "pod"), "{{pod}}"),
        ),
        lines(
            About(
                "Pods wanted and ready",
                "What the autoscaler wants, the most that it may have, and how many serve.",
                "short",
                alert="EarshotAutoscalerAtItsLimit",
            ),
            Query(
                f"kube_horizontalpodautoscaler_status_desired_replicas{{{hpa}}}",
                "wanted {{horizontalpodautoscaler}}",
            ),
            Query(
                f"kube_horizontalpodautoscaler_spec_max_replicas{{{hpa}}}", "most {{horizontalpodautoscaler}}"
            ),
            Query(total("earshot_ready", REPLICAS, "component"), "ready {{component}}"),
            Query(total("earshot_draining", REPLICAS, "component"), "draining {{component}}"),
        ),
    ]


def _calls() -> list[Panel]:
    by_code = f"{_CLUSTER}, grpc_code"
    return [
        lines(
            About("Calls by status", "As callers saw them, after retries; 0 is OK, 14 UNAVAILABLE.", "reqps"),
            Query(rate("envoy_cluster_grpc", _SERVICES, by_code), f"{_LEGEND} {{{{grpc_code}}}}"),
        ),
        lines(
            About(
                "Retries",
                "Attempts beyond the first, and those that the budget did not allow.",
                "reqps",
            ),
            Query(rate("envoy_cluster_upstream_rq_retry", _SERVICES, _CLUSTER), _LEGEND),
            Query(
                rate("envoy_cluster_upstream_rq_retry_overflow", _SERVICES, _CLUSTER),
                f"over budget {_LEGEND}",
            ),
        ),
        lines(
            About(
                "Time of replicas",
                "From Envoy's request to its answer; 95 of 100 take less.",
                "ms",
            ),
            Query(quantile(0.95, "envoy_cluster_upstream_rq_time", _SERVICES, _CLUSTER), _LEGEND),
        ),
    ]


def _replicas() -> list[Panel]:
    return [
        lines(
            About(
                "Healthy replicas",
                "Those that get calls, as the least lucky Envoy sees it, and all that it knows of.",
                "short",
                alert="EarshotNoReadyReplica",
            ),
            Query(
                f"min by ({_CLUSTER}) (envoy_cluster_membership_healthy{{{_SERVICES}}})", f"healthy {_LEGEND}"
            ),
            Query(f"max by ({_CLUSTER}) (envoy_cluster_membership_total{{{_SERVICES}}})", f"known {_LEGEND}"),
        ),
        lines(
            About(
                "Ejected",
                "Replicas that get no calls for a while: calls to them failed.",
                "short",
                Limits(1, 2),
            ),
            Query(total("envoy_cluster_outlier_detection_ejections_active", _SERVICES, _CLUSTER), _LEGEND),
        ),
        lines(
            About("Health checks failed", "Of each second.", "cps", Limits(0.1, 1)),
            Query(rate("envoy_cluster_health_check_failure", _SERVICES, _CLUSTER), _LEGEND),
        ),
        lines(
            About(
                "Circuit breakers",
                "1: Envoy lets no more calls through.",
                "short",
                Limits(1, 1),
            ),
            Query(
                f"max by ({_CLUSTER}) (envoy_cluster_circuit_breakers_default_rq_open{{{_SERVICES}}})",
                _LEGEND,
            ),
        ),
    ]


def _connections() -> list[Panel]:
    edge = f'{PODS},envoy_http_conn_manager_prefix="edge"'
    return [
        numbers(
            About("Envoys", "Proxies that answer.", "short", Limits(2, 1), "EarshotNoEdge"),
            Query(f"sum(envoy_server_live{{{PODS}}})", "live"),
        ),
        lines(
            About("Callers' connections", "Open to Envoy.", "short"),
            Query(total("envoy_http_downstream_cx_active", edge, "pod"), "{{pod}}"),
        ),
        numbers(
            About(
                "Certificates",
                "Until the first of Envoy's expires; empty where it has none.",
                "d",
                Limits(14, 3),
                "EarshotCertificateExpires",
            ),
            Query(f"min(envoy_server_days_until_first_cert_expiring{{{PODS}}}) < {_NO_CERTIFICATE}", "days"),
        ),
        lines(
            About(
                "Churn",
                "Connections to replicas, opened, and lost with calls on them.",
                "cps",
            ),
            Query(rate(f"{_CONNECTIONS}_total", _SERVICES, _CLUSTER), f"opened {_LEGEND}"),
            Query(
                rate("envoy_cluster_upstream_cx_destroy_with_active_rq", _SERVICES, _CLUSTER),
                f"lost {_LEGEND}",
            ),
        ),
    ]
