"""The API server is there and says nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from tests.cluster.kube import kubectl, until
from tests.cluster.power import OURS
from tests.drills.cluster.scene import on_cluster
from tests.drills.cluster.stage import AWAY_SECONDS, Stage
from tests.drills.drill import Result

_PROCESS: Final = Path(OURS).parent / "pid" / "kube-apiserver"
_PATIENCE_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 5


def _fault(stage: Stage, result: Result) -> None:
    process = int(_PROCESS.read_text(encoding="utf-8"))
    os.kill(process, signal.SIGSTOP)
    try:
        answered = _asked_for(AWAY_SECONDS)
    finally:
        os.kill(process, signal.SIGCONT)
    result.counts["times that it was asked meanwhile"] = len(answered)
    result.must(answered and not any(answered), "the API server was not away")
    until(_answers, 120, "the API server answers again")
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


DRILL = on_cluster("api_server_away", "the API server answers nobody for 60 s", _fault, switch="API server")
