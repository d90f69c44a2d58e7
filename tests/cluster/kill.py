"""SIGKILL to what a pod's container runs, from outside it: from inside, its first process is immune."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.cluster.kube import Document, Release, kubectl

# Runs on the pod's node. The runtime knows a container's processes by the pod's uid in their control group.
SCRIPT = """
import os, pathlib, signal, sys
uid, module = sys.argv[1:]
killed = []
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        group = (process / "cgroup").read_text().replace("_", "-")
        command = (process / "cmdline").read_bytes().split(b"\\0")
    except OSError:
        continue
    if uid in group and any(part.endswith(module.encode()) for part in command):
        os.kill(int(process.name), signal.SIGKILL)
        killed.append(process.name)
sys.exit(0 if killed else "no process of " + module + " in the pod " + uid)
"""


@contextlib.contextmanager
def killer(release: Release) -> Iterator[Callable[[Document], None]]:
    """Gives a function that kills a pod's service, or Envoy. Needs the right to see a node's processes."""
    space = f"{release.space.name}-killer"
    kubectl("create", "namespace", space)
    try:
        nodes = {pod["spec"]["nodeName"] for part in ("stt", "classification") for pod in release.pods(part)}
        for node in nodes:
            _start(space, node, release.image)
        yield lambda pod: _kill(space, pod)
    finally:
        kubectl("delete", "namespace", space, "--wait=true", "--timeout=120s")


def _start(space: str, node: str, image: str) -> None:
    container = {
        "name": node,
        "image": image,
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    spec = {"hostPID": True, "nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    overrides = json.dumps({"spec": spec})
    kubectl("--namespace", space, "run", node, f"--image={image}", f"--overrides={overrides}")
    kubectl("--namespace", space, "wait", f"pod/{node}", "--for=condition=Ready", "--timeout=60s")


def kill_here(pod: Document) -> None:
    """The same where the nodes' processes are this machine's, without the API server."""
    subprocess.run([sys.executable, *_arguments(pod)], check=True)


def _kill(space: str, pod: Document) -> None:
    kubectl("--namespace", space, "exec", pod["spec"]["nodeName"], "--", "python", *_arguments(pod))


def _arguments(pod: Document) -> tuple[str, ...]:
    component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
    program = "envoy" if component == "envoy" else f"earshot.{component}"
    return ("-c", SCRIPT, pod["metadata"]["uid"], program)
