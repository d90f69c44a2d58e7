"""A node is drained, and comes back."""

from __future__ import annotations

from tests.cluster.kube import kubectl, until
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import Counts, Stage


def _fault(stage: Stage) -> Counts:
    leaving = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s")
    kubectl("drain", stage.leaving, *leaving)
    try:
        until(lambda: stage.all_on(stage.staying), 240, "all pods on the other node")
        stage.settle()
    finally:
        kubectl("uncordon", stage.leaving)
    stage.spread()
    return {}


DRILL = on_cluster("node_drained", "a node is drained, and comes back", _fault)
