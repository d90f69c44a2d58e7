"""Envoys and pods are killed, as chance will have it, but none that is the last of its kind."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.cluster.kill import killer
from tests.cluster.kube import Document, name_of, ready_at
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import COMPONENTS, PODS, Stage
from tests.drills.drill import Result

_SECONDS: Final = 300
_EVERY_SECONDS: Final = 4
_Ways = dict[str, Callable[[Document], None]]
_LEAST: Final = 20  # kills: one that was killed often is back after minutes, its neighbour stays till then


def _fault(stage: Stage, result: Result) -> None:
    chance, kills = random.Random(0), Counter[str]()
    with killer(stage.release) as kill:
        ways: _Ways = {"killed": kill, "deleted": lambda pod: _delete(stage, pod)}
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            kills.update(_strike(stage, chance, ways))
            time.sleep(_EVERY_SECONDS)
    stage.settle()
    result.counts |= {f"pods of {what}": kills[what] for what in sorted(kills)}
    result.must(kills.total() >= _LEAST, f"{kills.total()} kills, and {_LEAST} there should be")
    missing = {f"{component} {how}" for component in COMPONENTS for how in ways} - kills.keys()
    result.must(not missing, f"no pod of {', '.join(sorted(missing))}")


def _strike(stage: Stage, chance: random.Random, ways: _Ways) -> list[str]:
    """What was struck, and how, where there was one that could be spared."""
    spare = {one: pods for one in COMPONENTS if len(pods := _ready(stage, one)) >= PODS}
    if not spare:
        return []
    component, how = chance.choice(list(spare)), chance.choice(list(ways))
    with contextlib.suppress(subprocess.CalledProcessError):  # it has ended by itself
        ways[how](chance.choice(spare[component]))
        return [f"{component} {how}"]
    return []


def _ready(stage: Stage, component: str) -> list[Document]:
    return [pod for pod in stage.release.pods(component) if ready_at(pod)]


def _delete(stage: Stage, pod: Document) -> None:
    """Without any time to end in."""
    stage.release.space.kubectl("delete", "pod", name_of(pod), "--grace-period=0", "--force")


DRILL = on_cluster("pods_killed", "Envoys and pods killed at random for 5 minutes", _fault, breaks=True)
