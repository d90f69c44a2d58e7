"""The API server is there and says nothing, and of each kind a pod is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.cluster.kill import kill_here
from tests.cluster.kube import kubectl, until
from tests.cluster.power import OURS
from tests.drills.cluster.killed import judge_back, kill_in_turn, one_of_each
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import Stage
from tests.drills.drill import Result

_PROCESS: Final = Path(OURS).parent / "pid" / "kube-apiserver"
_PATIENCE_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 5


def _fault(stage: Stage, result: Result) -> None:
    process, victims = int(_PROCESS.read_text(encoding="utf-8")), one_of_each(stage)
    answered = list[bool]()
    os.kill(process, signal.SIGSTOP)
    try:
        kill_in_turn(victims, kill_here, lambda seconds: answered.extend(_asked_for(seconds)))
    finally:
        os.kill(process, signal.SIGCONT)
    result.counts["times that it was asked meanwhile"] = len(answered)
    result.must(answered and not any(answered), "the API server was not away")
    until(_answers, 120, "the API server answers again")
    judge_back(stage, victims, result)
    stage.settle()


def _asked_for(seconds: float) -> list[bool]:
    """For so long, whether it has answered, each time that it was asked."""
    end, answered = time.monotonic() + seconds, list[bool]()
    while time.monotonic() < end:
        answered.append(_answers())
        time.sleep(_PAUSE_SECONDS)
    return answered


def _answers() -> bool:
    try:
        return kubectl("get", "--raw", "/readyz", f"--request-timeout={_PATIENCE_SECONDS}s") == "ok"
    except subprocess.CalledProcessError:
        return False


DRILL = on_cluster(
    "api_server_away",
    "the API server answers nobody for 60 s, and a pod of each kind is killed meanwhile",
    _fault,
    breaks=True,
    switch="API server",
)
