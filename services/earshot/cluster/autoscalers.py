"""What the HorizontalPodAutoscalers see, and what they make of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kubernetes import client

from earshot.cluster.connection import TIMEOUT, Cluster, Object


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure by which an autoscaler goes, in the spelling of Kubernetes: "45%", "1500m"."""

    name: str
    current: str  # empty until it is known
    target: str


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """One HorizontalPodAutoscaler."""

    name: str
    deployment: str  # what it scales
    minimum: int
    maximum: int
    current: int
    desired: int
    figures: tuple[Figure, ...]
    problem: str  # why it cannot scale; empty: it can


def autoscalers(cluster: Cluster, namespace: str, deployments: Collection[str]) -> list[Autoscaler]:
    """Those that scale these deployments, whoever made them: the chart, or KEDA in its name."""
    api = cluster.api(client.AutoscalingV2Api)
    with cluster.calling():
        found = api.list_namespaced_horizontal_pod_autoscaler(namespace, _request_timeout=TIMEOUT)
    scaled = (each for each in found.items if each.spec.scale_target_ref.name in deployments)
    return sorted(map(_autoscaler, scaled), key=lambda each: each.name)


def _autoscaler(found: Object) -> Autoscaler:
    spec, status = found.spec, found.status
    return Autoscaler(
        name=found.metadata.name,
        deployment=spec.scale_target_ref.name,
        minimum=spec.min_replicas or 1,
        maximum=spec.max_replicas,
        current=(status and status.current_replicas) or 0,
        desired=(status and status.desired_replicas) or 0,
        figures=_figures(spec.metrics or [], (status and status.current_metrics) or []),
        problem=_problem((status and status.conditions) or []),
    )


def _figures(wanted: list[Object], seen: list[Object]) -> tuple[Figure, ...]:
    # What could not be measured stands in the list as an entry without a type.
    values = {_measure(each): _value(_body(each).current) for each in seen if each.type}
    return tuple(
        Figure(_measure(each), values.get(_measure(each), ""), _value(_body(each).target)) for each in wanted
    )


def _body(metric: Object) -> Object:
    """What stands under the name of its type: "ContainerResource" has a ``container_resource``."""
    return getattr(metric, re.sub(r"(?<!^)(?=[A-Z])", "_", metric.type).lower())


def _measure(metric: Object) -> str:
    body = _body(metric)
    if metric.type == "ContainerResource":
        return f"{body.name} of {body.container}"
    return str(body.name if metric.type == "Resource" else body.metric.name)


def _value(value: Object) -> str:
    if value.average_utilization is not None:
        return f"{value.average_utilization}%"
    return str(value.average_value or value.value or "")


_NEEDED: Final = ("AbleToScale", "ScalingActive")


def _problem(conditions: list[Object]) -> str:
    wrong = (each for each in conditions if each.type in _NEEDED and each.status == "False")
    return "; ".join(each.message or each.reason for each in wrong)
