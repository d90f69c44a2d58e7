"""No name is found, and a pod that ends meanwhile is replaced by one of another address."""

from __future__ import annotations

import time
from typing import Final

from tests.cluster.kube import kubectl, until
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import AWAY_SECONDS, Stage
from tests.drills.drill import Result

_DNS: Final = ("--namespace", "kube-system", "deployment/coredns")
_PODS: Final = ("--namespace", "kube-system", "--selector=k8s-app=kube-dns", "--output=name")


def _fault(stage: Stage, result: Result) -> None:
    leaving = stage.release.names("classification")[0]
    usual = kubectl("get", *_DNS, "--output=jsonpath={.spec.replicas}")
    kubectl("scale", *_DNS, "--replicas=0")
    try:
        until(lambda: not kubectl("get", "pods", *_PODS), 60, "DNS is away")
        stage.release.space.kubectl("delete", "pod", leaving, "--wait=false")
        time.sleep(AWAY_SECONDS)
    finally:
        kubectl("scale", *_DNS, f"--replicas={usual}")
        kubectl("rollout", "status", *_DNS, "--timeout=120s")
    stage.settle()
    result.must(leaving not in stage.release.names("classification"), "the pod that was to end has not")


DRILL = on_cluster("dns_away", "DNS is away for 60 s, and a pod ends meanwhile", _fault)
