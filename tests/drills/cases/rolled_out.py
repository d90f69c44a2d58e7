"""New pods for old, of one kind after the other."""

from __future__ import annotations

from typing import Final

from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import COMPONENTS, PODS, Stage
from tests.drills.drill import Result

_TIMES: Final = 3


def _fault(stage: Stage, result: Result) -> None:
    replaced = 0
    for component in COMPONENTS * _TIMES:
        before = set(stage.release.names(component))
        stage.replace(f"--selector=app.kubernetes.io/component={component}")
        replaced += len(before - set(stage.release.names(component)))
    result.counts["pods replaced"] = replaced
    due = PODS * len(COMPONENTS) * _TIMES
    result.must(replaced == due, f"{replaced} pods were replaced, and {due} were to be")


DRILL = on_cluster("rolled_out", f"each deployment rolled out anew, {_TIMES} times", _fault, breaks=True)
