"""Where drills take place: a release on two nodes that hears digits, and its callers on one of them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.cluster.conftest import SMALL
from tests.cluster.kube import Document, Namespace, Release, kubectl, name_of, namespace, ready_at, until
from tests.cluster.spoken import Spoken, spoken
from tests.cluster.traffic import STREAMS, Plan, Traffic, traffic
from tests.drills import figures
from tests.drills.drill import Result

IMAGE: Final = os.environ.get("EARSHOT_CLUSTER_IMAGE", "localhost/earshot:dev")
COMPONENTS: Final = ("stt", "classification", "envoy")
PODS: Final = 2  # of each
AWAY_SECONDS: Final = 60
_CALLERS: Final = 4
# Of each caller, in a second.
_PLAN: Final[Plan] = {
    "classify": {"rate": 3},
    "models": {"rate": 1},
    "digits": {"rate": 0.1},
    "asked": {"rate": 0.1},
}
_Figure = tuple[str, str, dict[str, str]]  # where a pod shows it, its name, its labels
_ADMITTED: Final[_Figure] = (":9464/metrics", "earshot_admitted_requests", {})
_ACTIVE: Final = "envoy_http_downstream_rq_active"
# Of each component: what is at work in a pod.
_AT_WORK: Final[dict[str, _Figure]] = {
    "stt": _ADMITTED,
    "classification": _ADMITTED,
    "envoy": (":9902/stats/prometheus", _ACTIVE, {"envoy_http_conn_manager_prefix": "edge"}),
}
_SETTLE_SECONDS: Final = 420  # a container that was killed often waits five minutes
_PATIENCE: Final = f"--timeout={_SETTLE_SECONDS}s"


@dataclass(frozen=True)
class Stage:
    """The release, what is spoken to it, and two nodes: callers are on the first, faults on the second."""

    release: Release
    speech: Spoken
    staying: str
    leaving: str
    shared: Path

    def settle(self, count: int = PODS) -> float:
        """Until so many pods of each are there and ready, and no other is left; gives the seconds."""

        def settled() -> bool:
            return all(self.release.settled(component, count) for component in COMPONENTS)

        return until(settled, _SETTLE_SECONDS, "all pods are ready, and no other is left")

    def replace(self, *which: str) -> None:
        """New pods for those of all deployments, or of ``which``; Kubernetes places them on both nodes."""
        space = self.release.space
        space.kubectl("rollout", "restart", "deployment", *which)
        for deployment in space.objects("deployments", *which):
            space.kubectl("rollout", "status", f"deployment/{name_of(deployment)}", _PATIENCE)
        self.settle()

    def all_on(self, node: str) -> bool:
        """Whether as many pods as there should be are ready there; a dead node's are there in name."""
        return all(self._ready_on(component, node) == PODS for component in COMPONENTS)

    def struck_on(self, node: str) -> int:
        """How many pods are ready there, for what is to befall it. Raises LookupError where there is none."""
        count = sum(self._ready_on(component, node) for component in COMPONENTS)
        if not count:
            raise LookupError(f"no pod is on {node}: nothing would befall anything")
        return count

    def _ready_on(self, component: str, node: str) -> int:
        found = [pod for pod in self.release.pods(component) if ready_at(pod)]
        return sum(pod["spec"]["nodeName"] == node for pod in found)

    def at_work(self) -> dict[str, float]:
        """By component the requests and streams that are still in its pods, by their own figures."""
        return {component: sum(map(_at_work, self.release.pods(component))) for component in COMPONENTS}


def _at_work(pod: Document) -> float:
    place, name, labels = _AT_WORK[pod["metadata"]["labels"]["app.kubernetes.io/component"]]
    found = figures.found(f"http://{pod['status']['podIP']}{place}", name, **labels)
    if not found:
        raise LookupError(f"{name_of(pod)} has no {name} on its page")
    return sum(found)


@contextlib.contextmanager
def staged(shared: Path) -> Iterator[Stage]:
    """In a namespace of its own for so long. Raises LookupError where the cluster is not fit for it.

    Nodes must see folders of this machine, as one volume is, and pods' addresses must be in its reach.
    """
    staying, leaving = nodes()
    with (
        namespace(f"earshot-drills-{int(time.time())}") as space,
        TemporaryDirectory() as folder,
        spoken(space, shared, Path(folder)) as speech,
        _released(space, speech) as release,
    ):
        yield Stage(release, speech, staying, leaving, shared)


def nodes() -> tuple[str, str]:
    """The two that take pods, of a cluster that was named: none is touched by chance. Raises LookupError."""
    if not os.environ.get("KUBECONFIG"):
        raise LookupError("needs a cluster of two nodes, that of KUBECONFIG")
    found = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    names = [name_of(node) for node in found if _takes_pods(node)]
    if len(names) != PODS:
        raise LookupError(f"needs a cluster of two nodes that take pods, and this has {len(names)}")
    return names[0], names[1]


def _takes_pods(node: Document) -> bool:
    taints = node["spec"].get("taints", [])
    return not any(taint["effect"] in {"NoSchedule", "NoExecute"} for taint in taints)


@contextlib.contextmanager
def _released(space: Namespace, speech: Spoken) -> Iterator[Release]:
    values = SMALL | {"stt": SMALL["stt"] | speech.values["stt"]}
    release = Release(space, IMAGE, values)
    release.install()
    try:
        yield release
    finally:
        release.uninstall()


@contextlib.contextmanager
def calling(stage: Stage) -> Iterator[list[Traffic]]:
    """Callers with a connection and a stream each; the client tries again by itself."""
    load = partial(traffic, stage.release, attempts=5, node=stage.staying, claim=stage.speech.claim)
    # Streams follow on each other; of callers in turn the one kind or the other.
    plans = [_PLAN | {STREAMS[number % len(STREAMS)]: {"workers": 1}} for number in range(_CALLERS)]
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(load(plan)) for plan in plans]
        until(lambda: all(_has_streamed(caller) for caller in callers), 120, "a stream of each")
        yield callers


def _has_streamed(caller: Traffic) -> bool:
    return any(call.kind in STREAMS for call in caller.calls)


Fault = Callable[[Stage, Result], None]
"""What befalls the stage; counts what it has struck."""
