"""The status of a release as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import typer

from earshot.cli import output

if TYPE_CHECKING:
    from earshot.cluster.autoscalers import Autoscaler, Figure
    from earshot.cluster.edges import Endpoint
    from earshot.cluster.pods import Pod
    from earshot.cluster.release import Deployment
    from earshot.cluster.status import PodStatus, Status

_DEPLOYMENTS: Final = ("deployment", "ready", "wanted", "updated", "state")
_AUTOSCALERS: Final = (
    "autoscaler",
    "scales",
    "pods",
    "wants",
    "from",
    "to",
    "figures: now/target",
    "problem",
)
_PODS: Final = ("pod", "component", "state", "restarts", "engine", "model", "in flight", "node", "image")
_OWN: Final = ("engine", "model", "in_flight")
_ENDPOINTS: Final = ("envoy", "sends to", "address", "health", "active", "calls")


def record(status: Status) -> dict[str, object]:
    """For JSON, with what a pod says itself among its other fields; null: it did not say."""
    pods = [
        output.fields(each.pod)
        | (output.fields(each.figures) if each.figures else dict.fromkeys(_OWN))
        | {"last_line": each.last_line}
        for each in status.pods
    ]
    return output.fields(status) | {"pods": pods}


def show(status: Status) -> None:
    """Prints all of it; what there is none of is left out."""
    typer.echo(f"release {status.release}, namespace {status.namespace}, context {status.context}")
    _table(_DEPLOYMENTS, map(_deployment, status.deployments))
    _table(_AUTOSCALERS, map(_autoscaler, status.autoscalers))
    _table(_PODS, map(_pod, status.pods))
    _table(_ENDPOINTS, map(_endpoint, status.endpoints))
    for each in status.pods:
        for line in _story(each):
            typer.echo(line)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    filled = list(rows)
    if filled:
        output.print_rows(columns, filled)


def _deployment(each: Deployment) -> tuple[str, ...]:
    state = each.problem or ("ready" if each.settled else "changing")
    return each.name, str(each.ready), str(each.wanted), str(each.updated), state


def _autoscaler(each: Autoscaler) -> tuple[str, ...]:
    counts = (each.current, each.desired, each.minimum, each.maximum)
    figures = ", ".join(map(_figure, each.figures))
    return each.name, each.deployment, *map(str, counts), figures, each.problem


def _figure(each: Figure) -> str:
    return f"{each.name} {each.current or 'unknown'}/{each.target}"


def _pod(each: PodStatus) -> tuple[str, ...]:
    pod, figures = each.pod, each.figures
    own = (figures.engine, figures.model, str(figures.in_flight)) if figures else ("", "", "")
    return pod.name, pod.component, _state(pod), str(pod.restarts), *own, pod.node, pod.image


def _state(pod: Pod) -> str:
    if pod.leaving:
        return "leaving"
    return "ready" if pod.ready else "starting" if pod.starting else "not ready"


def _endpoint(each: Endpoint) -> tuple[str, ...]:
    return each.envoy, each.pod or each.service, each.address, each.health, str(each.active), str(each.calls)


def _story(each: PodStatus) -> list[str]:
    """Why a pod is not ready, how it ended, and its last words; nothing of one that never ended."""
    pod = each.pod
    trouble = ": ".join(filter(None, (pod.trouble, pod.detail)))
    told = [("", trouble), ("ended before by ", pod.ended), ("last line of its log: ", each.last_line)]
    return [f"{pod.name}: {label}{text}" for label, text in told if text]
