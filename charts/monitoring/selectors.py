"""PromQL that several dashboards and rules share.

Every target is expected to carry the labels ``namespace`` and ``pod``, as the chart's PodMonitors and
``earshot up --prometheus`` give them; ``component`` is the services' own label.
"""

from __future__ import annotations

from typing import Final

# For dashboards: a release's pods are named after it.
PODS: Final = 'namespace=~"$namespace",pod=~"$release-.+"'
REPLICAS: Final = PODS + ',component=~"$service"'
CALLS: Final = REPLICAS + ',client=~"$client"'

# gRPC statuses by which a call has failed that was not the caller's mistake.
FAULT_CODES: Final = "UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|DATA_LOSS"
FAULT_NUMBERS: Final = "2|4|8|13|14|15"
# What a caller may do: stop waiting.
NO_ERROR: Final = "OK|CANCELLED"

_COMPONENTS: Final = {"speech_to_text": "stt", "zero_shot_classifier": "classification"}


def by_component(expr: str) -> str:
    """``expr``, which has Envoy's name of a service as label, with the services' own as well."""
    for cluster, component in _COMPONENTS.items():
        expr = f'label_replace({expr}, "component", "{component}", "envoy_cluster_name", "{cluster}")'
    return expr


def rate(metric: str, selector: str, by: str = "") -> str:
    """Per second, summed up ``by`` labels, over the range that suits the dashboard's scale."""
    return _summed(f"rate({metric}{{{selector}}}[$__rate_interval])", by)


def total(metric: str, selector: str, by: str = "") -> str:
    """Gauges summed up ``by`` labels."""
    return _summed(f"{metric}{{{selector}}}", by)


def quantile(share: float, metric: str, selector: str, by: str = "") -> str:
    """A quantile of a histogram, for each of ``by``."""
    buckets = rate(f"{metric}_bucket", selector, f"le, {by}" if by else "le")
    return f"histogram_quantile({share}, {buckets})"


def _summed(expr: str, by: str) -> str:
    return f"sum by ({by}) ({expr})" if by else f"sum({expr})"
