"""A node without power, on the cluster of ``shared/cluster``: another has no switch that we could reach."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.kube import kubectl
from tests.lacking import lacking

OURS = "/run/cluster/admin.kubeconfig"


@contextlib.contextmanager
def without_power(node: str, shared: Path) -> Iterator[tuple[float, float]]:
    """For so long the node is as if its power had gone.

    Its pods go silent one after another: gives when that began and when the last of them was, in seconds of
    the epoch.
    """
    if os.environ.get("KUBECONFIG") != OURS:
        lacking(f"only the cluster of {OURS} has a switch for a node's power")
    began = time.time()
    _switch(shared, "kill-node", node)
    try:
        yield began, time.time()
    finally:
        _switch(shared, "start-node", node)
        kubectl("wait", f"node/{node}", "--for=condition=Ready", "--timeout=120s")


def _switch(shared: Path, verb: str, node: str) -> None:
    command = [str(shared / "cluster" / "cluster"), verb, node]
    # What it starts outlives it, and must not hold our pipes.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
