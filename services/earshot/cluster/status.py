"""All that can be known of a release in one look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from earshot import errors
from earshot.cluster.autoscalers import Autoscaler, autoscalers
from earshot.cluster.components import Component
from earshot.cluster.edges import Endpoint, endpoints
from earshot.cluster.engines import Figures, figures
from earshot.cluster.logs import last_words
from earshot.cluster.pods import Pod
from earshot.cluster.release import Deployment, Release

T = TypeVar("T")

_AT_ONCE: Final = 8  # pods that are asked at a time


@dataclass(frozen=True, slots=True)
class PodStatus:
    """A pod, with what it says itself."""

    pod: Pod
    figures: Figures | None  # None: it was not asked, or did not answer
    last_line: str  # of the log of what keeps it from being ready; empty where it is ready


@dataclass(frozen=True, slots=True)
class Status:
    """A release, as it is now."""

    release: str
    namespace: str
    context: str
    deployments: tuple[Deployment, ...]
    autoscalers: tuple[Autoscaler, ...]
    pods: tuple[PodStatus, ...]
    endpoints: tuple[Endpoint, ...]  # in the eyes of each Envoy
    notes: tuple[str, ...]  # what could not be found out, and why


def status(release: Release) -> Status:
    """Looks at everything; what this user has no right to see, or does not answer, becomes a note.

    Raises:
        NotFoundError: there is no such release.
        PermissionDeniedError: this user may not even list deployments and pods.
        UnavailableError: the cluster does not answer.
    """
    deployments, pods, notes = release.deployments(), release.pods(), list[str]()
    cluster = release.cluster
    replicas = [each for each in pods if each.component != Component.ENVOY]
    edges = [each for each in pods if each.component == Component.ENVOY and each.ready]
    serving = [each for each in replicas if each.serving]
    figured = _ask(serving, partial(figures, cluster), "engine not shown", notes)
    seen = _ask(edges, lambda edge: endpoints(cluster, edge, replicas), "Envoy's view not shown", notes)
    troubled = [each for each in pods if each.blamed]
    words = _ask(troubled, partial(last_words, cluster), "last log line not shown", notes)
    return Status(
        release=release.name,
        namespace=release.namespace,
        context=cluster.context,
        deployments=tuple(deployments),
        autoscalers=tuple(_autoscalers(release, deployments, notes)),
        pods=tuple(PodStatus(each, figured.get(each.name), words.get(each.name, "")) for each in pods),
        endpoints=tuple(endpoint for known in seen.values() for endpoint in known),
        notes=tuple(notes),
    )


def _autoscalers(release: Release, deployments: Iterable[Deployment], notes: list[str]) -> list[Autoscaler]:
    try:
        return autoscalers(release.cluster, release.namespace, {each.name for each in deployments})
    except errors.PermissionDeniedError as exc:
        notes.append(f"autoscalers not shown: {exc.message}")
        return []


def _ask(pods: Sequence[Pod], work: Callable[[Pod], T], blank: str, notes: list[str]) -> dict[str, T]:
    """What ``work`` gives for each pod, by the pod's name, without those where it fails."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(partial(_attempt, work), pods))
    notes += (f"{blank}: {reason}" for reason in _reasons(answers))
    return {
        pod.name: answer
        for pod, answer in zip(pods, answers, strict=True)
        if not isinstance(answer, errors.EarshotError)
    }


def _attempt(work: Callable[[Pod], T], pod: Pod) -> T | errors.EarshotError:
    try:
        return work(pod)
    except errors.EarshotError as exc:
        return exc


def _reasons(answers: Iterable[object]) -> list[str]:
    """One for each pod; but a right that is missing is missing for all of them."""
    failures = [each for each in answers if isinstance(each, errors.EarshotError)]
    denied = [each.message for each in failures if isinstance(each, errors.PermissionDeniedError)]
    return denied[:1] or [each.message for each in failures]
