"""A release of the chart: its deployments and pods, found by the labels that the chart sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kubernetes import client

from earshot import errors
from earshot.cluster.components import Component
from earshot.cluster.connection import TIMEOUT, Cluster, Object
from earshot.cluster.pods import Pod, pod

_PART_OF: Final = "app.kubernetes.io/part-of"  # its name is a value of the chart, this is not
_INSTANCE: Final = "app.kubernetes.io/instance"
_COMPONENT: Final = "app.kubernetes.io/component"


@dataclass(frozen=True, slots=True)
class Deployment:
    """How many pods a component should have, and how many it has."""

    name: str
    component: str
    wanted: int
    ready: int  # able to take calls
    updated: int  # of the newest template
    total: int  # with those of older templates
    seen: bool  # the controller has taken note of the newest change
    problem: str  # why it gets no further; empty: nothing is known to be wrong

    @property
    def settled(self) -> bool:
        """All pods that are wanted are ready and of the newest template, and there are no others."""
        return self.seen and self.wanted == self.ready == self.updated == self.total


@dataclass(frozen=True, slots=True)
class Release:
    """One ``helm install`` of the chart."""

    cluster: Cluster
    namespace: str
    name: str

    def deployments(self) -> list[Deployment]:
        """By name.

        Raises:
            NotFoundError: there is no such release.
        """
        found = self._deployments(self._selector)
        if not found:
            raise errors.NotFoundError(self._missing())
        return [_deployment(each) for each in sorted(found, key=lambda each: str(each.metadata.name))]

    def pods(self, *components: Component) -> list[Pod]:
        """Of these components, else of all, by name."""
        named = ",".join(components or Component)
        core = self.cluster.api(client.CoreV1Api)
        with self.cluster.calling():
            found = core.list_namespaced_pod(
                self.namespace,
                label_selector=f"{self._selector},{_COMPONENT} in ({named})",
                _request_timeout=TIMEOUT,
            )
        pods = [pod(each, each.metadata.labels[_COMPONENT]) for each in found.items]
        return sorted(pods, key=lambda each: (each.component, each.name))

    def selector(self, component: str) -> str:
        """Of what belongs to a component, as "tls"."""
        return f"{self._selector},{_COMPONENT}={component}"

    @property
    def _selector(self) -> str:
        return f"{_PART_OF}=earshot,{_INSTANCE}={self.name}"

    def _deployments(self, selector: str) -> list[Object]:
        apps = self.cluster.api(client.AppsV1Api)
        with self.cluster.calling():
            found = apps.list_namespaced_deployment(
                self.namespace, label_selector=selector, _request_timeout=TIMEOUT
            )
        return list(found.items)

    def _missing(self) -> str:
        others = {
            each.metadata.labels.get(_INSTANCE, "") for each in self._deployments(f"{_PART_OF}=earshot")
        }
        place = f"in namespace {self.namespace!r} of context {self.cluster.context!r}"
        if others:
            names = ", ".join(map(repr, sorted(others)))
            return f"no release {self.name!r} {place}, only {names}: name one by --release"
        return (
            f"no release {self.name!r} {place}: name another by --namespace, "
            f"or install one with `helm install {self.name} charts/earshot`"
        )


def _deployment(found: Object) -> Deployment:
    status = found.status
    return Deployment(
        name=found.metadata.name,
        component=found.metadata.labels.get(_COMPONENT, ""),
        wanted=found.spec.replicas if found.spec.replicas is not None else 1,
        ready=status.ready_replicas or 0,
        updated=status.updated_replicas or 0,
        total=status.replicas or 0,
        seen=(status.observed_generation or 0) >= found.metadata.generation,
        problem=_problem(status.conditions or []),
    )


def _problem(conditions: list[Object]) -> str:
    stuck = {("Progressing", "False"), ("ReplicaFailure", "True")}
    return "; ".join(each.message or each.reason for each in conditions if (each.type, each.status) in stuck)
