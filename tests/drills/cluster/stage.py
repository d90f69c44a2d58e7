"""Where drills take place: a release on two nodes that hears digits, and its callers on one of them."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.cluster.conftest import SMALL
from tests.cluster.kube import Document, Namespace, Release, kubectl, namespace, ready_at, until
from tests.cluster.power import OURS
from tests.cluster.spoken import Spoken, spoken
from tests.cluster.traffic import Plan, Traffic, traffic
from tests.drills.drill import Count

IMAGE: Final = os.environ.get("EARSHOT_CLUSTER_IMAGE", "localhost/earshot:dev")
COMPONENTS: Final = ("stt", "classification", "envoy")
PODS: Final = 2  # of each
AWAY_SECONDS: Final = 60
_CALLERS: Final = 4
# Of each caller, in a second; streams follow on each other.
_PLAN: Final[Plan] = {
    "classify": {"rate": 3},
    "models": {"rate": 1},
    "digits": {"rate": 0.2},
    "stream": {"workers": 1},
}
_AT_WORK: Final = "earshot_admitted_requests{"
_SETTLE_SECONDS: Final = 420  # a container that was killed often waits five minutes


@dataclass(frozen=True)
class Stage:
    """The release, what is spoken to it, and two nodes: callers are on the first, faults on the second."""

    release: Release
    speech: Spoken
    staying: str
    leaving: str
    shared: Path

    def settle(self) -> float:
        """Until all pods are there and ready, and no other is left; gives the seconds."""
        return until(self._settled, _SETTLE_SECONDS, "all pods are ready, and no other is left")

    def _settled(self) -> bool:
        return all(self.release.settled(component, PODS) for component in COMPONENTS)

    def spread(self) -> None:
        """New pods for all, which Kubernetes places on both nodes."""
        self.release.space.kubectl("rollout", "restart", "deployment")
        self.settle()

    def all_on(self, node: str) -> bool:
        """Whether as many pods as there should be are ready there; a dead node's are there in name."""
        return all(self._ready_on(component, node) for component in COMPONENTS)

    def _ready_on(self, component: str, node: str) -> bool:
        found = [pod for pod in self.release.pods(component) if ready_at(pod)]
        return sum(pod["spec"]["nodeName"] == node for pod in found) == PODS

    def at_work(self) -> float:
        """Requests and streams that are still in the services, by their own figures."""
        pods = [*self.release.pods("stt"), *self.release.pods("classification")]
        return sum(map(_at_work, pods))


def _at_work(pod: Document) -> float:
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:9464/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(_AT_WORK))


@contextlib.contextmanager
def staged(shared: Path) -> Iterator[Stage]:
    """In a namespace of its own for so long. Raises LookupError where the cluster is not fit for it."""
    if os.environ.get("KUBECONFIG") != OURS:
        raise LookupError(f"needs a cluster whose power and API server can be switched: that of {OURS}")
    nodes = kubectl("get", "nodes", "--output=name").replace("node/", "").split()
    if len(nodes) < PODS:
        raise LookupError("needs a cluster of two nodes")
    with (
        namespace(f"earshot-drills-{int(time.time())}") as space,
        TemporaryDirectory() as folder,
        spoken(space, shared, Path(folder)) as speech,
        _released(space, speech) as release,
    ):
        yield Stage(release, speech, nodes[0], nodes[1], shared)


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
    load = partial(traffic, stage.release, _PLAN, attempts=5, node=stage.staying, claim=stage.speech.claim)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(load()) for _ in range(_CALLERS)]
        until(lambda: all(_has_streamed(caller) for caller in callers), 120, "a stream of each")
        yield callers


def _has_streamed(caller: Traffic) -> bool:
    return any(call.kind == "stream" for call in caller.calls)


Counts = dict[str, Count]
Fault = Callable[[Stage], Counts]
