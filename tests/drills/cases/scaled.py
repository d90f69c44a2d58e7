"""Pods of all kinds come and go."""

from __future__ import annotations

from typing import Final

from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import PODS, Stage
from tests.drills.drill import Result

_TO: Final = (3, 1, PODS) * 3


def _fault(stage: Stage, result: Result) -> None:
    for count in _TO:
        stage.release.space.kubectl("scale", "deployment", "--all", f"--replicas={count}")
        stage.settle(count)
    result.counts["times scaled"] = len(_TO)


_COUNTS = ", ".join(map(str, _TO))
DRILL = on_cluster("scaled", f"pods of each kind scaled to {_COUNTS}", _fault, breaks=True)
