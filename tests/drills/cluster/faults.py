"""What befalls a cluster while it serves. Each leaves it as it was, and gives what it has done, in words."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.cluster.kill import killer
from tests.cluster.kube import Document, kubectl, name_of, ready_at, until
from tests.cluster.power import OURS, without_power
from tests.drills.cluster.stage import COMPONENTS, PODS, Stage

_AWAY_SECONDS: Final = 60
_KILLING_SECONDS: Final = 300
_EVERY_SECONDS: Final = 4
_TIMES: Final = 3
_API_SERVER: Final = Path(OURS).parent / "pid" / "kube-apiserver"
_DNS: Final = ("--namespace", "kube-system", "deployment/coredns")


def drain(stage: Stage) -> dict[str, int]:
    """A node is drained, and comes back."""
    kubectl(
        "drain", stage.leaving, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s"
    )
    try:
        until(lambda: stage.all_on(stage.staying), 240, "all pods on the other node")
        stage.settle()
    finally:
        kubectl("uncordon", stage.leaving)
    stage.spread()
    return {"node drained": 1}


def power(stage: Stage) -> dict[str, int]:
    """A node loses its power and comes back, again and again."""
    for _ in range(_TIMES):
        with without_power(stage.leaving, stage.shared):
            until(lambda: stage.all_on(stage.staying), 240, "all pods on the other node")
        stage.spread()
    return {"times a node without power": _TIMES}


def api_server(stage: Stage) -> dict[str, int]:
    """The API server says nothing for a minute: it is there, and does not answer."""
    process = int(_API_SERVER.read_text())
    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(_AWAY_SECONDS)
    finally:
        os.kill(process, signal.SIGCONT)
    until(_answers, 120, "the API server answers again")
    stage.settle()
    return {"seconds without the API server": _AWAY_SECONDS}


def _answers() -> bool:
    try:
        return kubectl("get", "--raw", "/readyz") == "ok"
    except subprocess.CalledProcessError:
        return False


def dns(stage: Stage) -> dict[str, int]:
    """No name is found for a minute, and a pod that ends meanwhile is replaced by one of another address."""
    kubectl("scale", *_DNS, "--replicas=0")
    try:
        until(lambda: not _dns_pods(), 60, "DNS is away")
        stage.release.space.kubectl("delete", "pod", stage.release.names("classification")[0], "--wait=false")
        time.sleep(_AWAY_SECONDS)
    finally:
        kubectl("scale", *_DNS, "--replicas=1")
        kubectl("rollout", "status", *_DNS, "--timeout=120s")
    stage.settle()
    return {"seconds without DNS": _AWAY_SECONDS}


def _dns_pods() -> str:
    return kubectl("get", "pods", "--namespace", "kube-system", "--selector=k8s-app=kube-dns", "--output=name")


def at_random(stage: Stage) -> dict[str, int]:
    """Envoys and pods are killed, as chance will have it, but none that is the last of its kind."""
    chance, done = random.Random(0), 0
    with killer(stage.release) as kill:
        ways: list[Callable[[Document], None]] = [kill, lambda pod: _delete(stage, pod)]
        until_then = time.monotonic() + _KILLING_SECONDS
        while time.monotonic() < until_then:
            pods = stage.release.pods(chance.choice(COMPONENTS))
            if sum(map(bool, map(ready_at, pods))) >= PODS:
                with contextlib.suppress(subprocess.CalledProcessError):  # it has ended by itself
                    chance.choice(ways)(chance.choice(pods))
                    done += 1
            time.sleep(_EVERY_SECONDS)
    stage.settle()
    return {"kills": done}


def _delete(stage: Stage, pod: Document) -> None:
    """Without any time to end in."""
    stage.release.space.kubectl("delete", "pod", name_of(pod), "--grace-period=0", "--force")
