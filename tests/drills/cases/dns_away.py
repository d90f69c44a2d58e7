"""No name is found; meanwhile pods are killed, and one is replaced, by one of another address."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from tests.cluster.kill import killer
from tests.cluster.kube import kubectl, until
from tests.drills.cluster.killed import judge_back, kill_in_turn, one_of_each
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import Stage
from tests.drills.drill import Result

_KILLED: Final = ("stt", "envoy")  # of the third kind no other is known while one is replaced
_DNS: Final = ("--namespace", "kube-system", "deployment/coredns")
_PODS: Final = ("--namespace", "kube-system", "--selector=k8s-app=kube-dns", "--output=name")


def _fault(stage: Stage, result: Result) -> None:
    leaving, victims = stage.release.names("classification")[0], one_of_each(stage, _KILLED)
    with killer(stage.release) as kill, _away():
        stage.release.space.kubectl("delete", "pod", leaving, "--wait=false")
        kill_in_turn(victims, kill, time.sleep)
    judge_back(stage, victims, result)
    stage.settle()
    result.must(leaving not in stage.release.names("classification"), "the pod that was to end has not")


@contextlib.contextmanager
def _away() -> Iterator[None]:
    usual = kubectl("get", *_DNS, "--output=jsonpath={.spec.replicas}")
    kubectl("scale", *_DNS, "--replicas=0")
    try:
        until(lambda: not kubectl("get", "pods", *_PODS), 60, "DNS is away")
        yield
    finally:
        kubectl("scale", *_DNS, f"--replicas={usual}")
        kubectl("rollout", "status", *_DNS, "--timeout=120s")


DRILL = on_cluster(
    "dns_away",
    "DNS is away for 60 s, and meanwhile a pod of classification ends, one of speech-to-text and an Envoy "
    "are killed",
    _fault,
    breaks=True,
)
