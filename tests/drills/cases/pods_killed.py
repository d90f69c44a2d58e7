"""Envoys and pods are killed, as chance will have it, but none that is the last of its kind."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Callable
from typing import Final

from tests.cluster.kill import killer
from tests.cluster.kube import Document, name_of, ready_at
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import COMPONENTS, PODS, Stage
from tests.drills.drill import Result

_SECONDS: Final = 300
_EVERY_SECONDS: Final = 4
_LEAST: Final = 20  # kills: one that was killed often is back after minutes, its neighbour stays till then


def _fault(stage: Stage, result: Result) -> None:
    chance, kills = random.Random(0), 0
    with killer(stage.release) as kill:
        ways: list[Callable[[Document], None]] = [kill, lambda pod: _delete(stage, pod)]
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            kills += _strike(stage, chance, ways)
            time.sleep(_EVERY_SECONDS)
    stage.settle()
    result.counts["kills"] = kills
    result.must(kills >= _LEAST, f"{kills} kills, and {_LEAST} there should be")


def _strike(stage: Stage, chance: random.Random, ways: list[Callable[[Document], None]]) -> bool:
    """Whether there was one that could be spared, and it was killed."""
    spare = [pods for component in COMPONENTS if len(pods := _ready(stage, component)) >= PODS]
    if not spare:
        return False
    with contextlib.suppress(subprocess.CalledProcessError):  # it has ended by itself
        chance.choice(ways)(chance.choice(chance.choice(spare)))
        return True
    return False


def _ready(stage: Stage, component: str) -> list[Document]:
    return [pod for pod in stage.release.pods(component) if ready_at(pod)]


def _delete(stage: Stage, pod: Document) -> None:
    """Without any time to end in."""
    stage.release.space.kubectl("delete", "pod", name_of(pod), "--grace-period=0", "--force")


DRILL = on_cluster("pods_killed", "Envoys and pods killed at random for 5 minutes", _fault, breaks=True)
