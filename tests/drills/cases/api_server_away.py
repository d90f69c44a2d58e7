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
from tests.drills.cluster.stage import AWAY_SECONDS, Counts, Stage

_PROCESS: Final = Path(OURS).parent / "pid" / "kube-apiserver"


def _fault(stage: Stage) -> Counts:
    process = int(_PROCESS.read_text(encoding="utf-8"))
    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        os.kill(process, signal.SIGCONT)
    until(_answers, 120, "the API server answers again")
    stage.settle()
    return {}


def _answers() -> bool:
    try:
        return kubectl("get", "--raw", "/readyz") == "ok"
    except subprocess.CalledProcessError:
        return False


DRILL = on_cluster("api_server_away", "the API server answers nobody for 60 s", _fault)
