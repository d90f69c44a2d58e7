"""A node loses its power and comes back, again and again."""

from __future__ import annotations

from typing import Final

from tests.cluster.kube import until
from tests.cluster.power import without_power
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import Stage
from tests.drills.drill import Result

_TIMES: Final = 3


def _fault(stage: Stage, result: Result) -> None:
    lost = 0
    for _ in range(_TIMES):
        lost += stage.struck_on(stage.leaving)
        with without_power(stage.leaving, stage.shared):
            until(lambda: stage.all_on(stage.staying), 240, "all pods on the other node")
        stage.replace()
    result.counts |= {"times without power": _TIMES, "pods lost by it": lost}


DRILL = on_cluster(
    "node_without_power",
    "a node loses its power and comes back, three times",
    _fault,
    breaks=True,
    switch="power",
)
