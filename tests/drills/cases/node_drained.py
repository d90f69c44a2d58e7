"""A node is drained, and comes back."""

from __future__ import annotations

from tests.cluster.kube import kubectl, until
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import Stage
from tests.drills.drill import Result


def _fault(stage: Stage, result: Result) -> None:
    result.counts["pods drained"] = stage.struck_on(stage.leaving)
    leaving = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s")
    try:
        kubectl("drain", stage.leaving, *leaving)
        until(lambda: stage.all_on(stage.staying), 240, "all pods on the other node")
        stage.settle()
    finally:
        kubectl("uncordon", stage.leaving)
    stage.replace()


DRILL = on_cluster("node_drained", "a node is drained, and comes back", _fault, breaks=True)
