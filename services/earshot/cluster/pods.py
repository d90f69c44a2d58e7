"""One pod: what it runs, whether it is ready, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from earshot.cluster.connection import Object

# What containers wait for that start as they should.
_ORDINARY: Final = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod."""

    name: str
    restarts: int
    has_log: bool  # of the run that is on, or that has just ended
    has_earlier_log: bool  # of the run before


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, as the API server sees it."""

    name: str
    namespace: str
    component: str
    node: str  # empty until one is found for it
    address: str  # empty until it has one
    image: str
    ready: bool
    leaving: bool  # it has been told to end
    restarts: int  # of all its containers
    ended: str  # how a container ended last, as "OOMKilled, exit code 137"; empty: none has
    last_words: str  # the last line that it wrote before, where Kubernetes kept it
    starting: bool  # not ready yet, and nothing is wrong so far
    trouble: str  # why it is not ready, as "stt: CrashLoopBackOff"; empty: it is
    detail: str  # what Kubernetes has to say about that
    blamed: str  # the container that keeps it from being ready; empty: none does
    containers: tuple[Container, ...]
    ports: dict[str, int]  # by name

    @property
    def serving(self) -> bool:
        """Takes calls, and will go on."""
        return self.ready and not self.leaving


def pod(found: Object, component: str) -> Pod:
    """The pod behind an object of the API."""
    states = _states(found)
    # The one that the pod waits for; an init container is ready once it has ended well.
    blamed = next((each for each in states if not each.ready), None)
    ready = _condition(found, "Ready") == "True"
    trouble, detail = ("", "") if ready else _trouble(found, blamed)
    end = next((end for each in states if (end := _last_end(each))), None)
    return Pod(
        name=found.metadata.name,
        namespace=found.metadata.namespace,
        component=component,
        node=found.spec.node_name or "",
        address=found.status.pod_ip or "",
        image=_main(found, component).image,
        ready=ready,
        leaving=found.metadata.deletion_timestamp is not None,
        restarts=sum(each.restart_count for each in states),
        ended=_end(end) if end else "",
        last_words=last_line(end.message or "") if end else "",
        starting=not ready and end is None and _is_starting(blamed),
        trouble=trouble,
        detail=" ".join((detail or "").split()),
        blamed=blamed.name if blamed and not ready else "",
        containers=tuple(_container(each) for each in states),
        ports={port.name: port.container_port for port in _ports(found) if port.name},
    )


def last_line(text: str) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _states(found: Object) -> list[Object]:
    """The states of all its containers, in the order in which they start."""
    return [*(found.status.init_container_statuses or []), *(found.status.container_statuses or [])]


def _main(found: Object, component: str) -> Object:
    containers = found.spec.containers
    return next((each for each in containers if each.name == component), containers[0])


def _ports(found: Object) -> list[Object]:
    return [port for container in found.spec.containers for port in container.ports or []]


def _container(state: Object) -> Container:
    now, before = state.state, state.last_state
    has_log = bool(now.running or now.terminated)
    return Container(state.name, state.restart_count, has_log, bool(before and before.terminated))


def _last_end(state: Object) -> Object | None:
    """How it ended last; an init container that ended well has only done its work."""
    end = state.state.terminated or (state.last_state and state.last_state.terminated)
    return end if end and (end.exit_code or state.restart_count) else None


def _end(end: Object) -> str:
    how = f"signal {end.signal}" if end.signal else f"exit code {end.exit_code}"
    return f"{end.reason}, {how}" if end.reason else how


def _is_starting(blamed: Object | None) -> bool:
    waiting = blamed.state.waiting if blamed else None
    return blamed is not None and (waiting is None or waiting.reason in _ORDINARY)


def _trouble(found: Object, blamed: Object | None) -> tuple[str, str | None]:
    if found.metadata.deletion_timestamp is not None:
        return "is being removed", ""
    if found.status.phase == "Failed":
        return found.status.reason or "Failed", found.status.message
    for condition in found.status.conditions or []:
        if (condition.type, condition.status) == ("PodScheduled", "False"):
            return condition.reason or "Unschedulable", condition.message
    return _state(blamed) if blamed else ("has not started yet", "")


def _state(blamed: Object) -> tuple[str, str | None]:
    waiting, ended = blamed.state.waiting, blamed.state.terminated
    if waiting:
        # "back-off 20s restarting failed container": how it ended says more.
        detail = "" if waiting.reason == "CrashLoopBackOff" else waiting.message
        return f"{blamed.name}: {waiting.reason or 'waiting'}", detail
    if ended:
        return f"{blamed.name}: {_end(ended)}", ""
    return f"{blamed.name}: runs, but is not ready", ""


def _condition(found: Object, kind: str) -> str:
    return next((each.status for each in found.status.conditions or [] if each.type == kind), "")
