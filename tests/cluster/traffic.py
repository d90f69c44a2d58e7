"""Load from a pod in the cluster, and what became of each call."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.kube import Document, Release, until

LOOK_SECONDS = 2.0
STREAMS = ("stream", "scored")  # kinds of call that take as long as their audio
SCRIPT = Path(__file__).with_name("load.py")
Plan = dict[str, dict[str, float]]
# 20 calls/s, most of them cheap: two cores have to do for everything. "models" is one to each service.
STEADY: Plan = {"classify": {"rate": 12}, "models": {"rate": 4}, "recognize": {"rate": 0.5}}


@dataclass(frozen=True)
class Call:
    """One call: when it was made and ended, in seconds of the epoch, and who answered."""

    kind: str
    at: float
    ended: float
    error: str
    replica: str = ""
    said: str = ""  # the words heard
    breaks: int = 0  # of a stream's connections


@dataclass
class Traffic:
    """Calls that are under way, and those that are done."""

    calls: list[Call] = field(default_factory=list)
    until: float = 0.0  # when the test was over

    def failed(self) -> list[str]:
        """What went wrong, each once, with how often: wrong answers too, and times without any call."""
        wrong = Counter(
            call.error or call.replica for call in self.calls if call.error or " " in call.replica
        )
        made = sorted([call.at for call in self.calls] + [self.until] * bool(self.until))
        pauses = [later - earlier for earlier, later in itertools.pairwise(made) if later - earlier > 5]
        return [f"{count} x {what}" for what, count in wrong.items()] + [
            f"no call was made for {pause:.0f} s" for pause in pauses
        ]

    def answered_by(self, replica: str, after: float = 0.0) -> list[Call]:
        """The calls made after that time that this replica answered, the earliest first."""
        mine = [call for call in self.calls if call.replica == replica and call.at > after]
        return sorted(mine, key=lambda call: call.at)

    def summary(self) -> str:
        """How many, of what, and how long they took, but for streams, which take as long as their audio."""
        took = sorted(call.ended - call.at for call in self.calls if call.kind not in STREAMS)
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(c.kind for c in self.calls).items())
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        return f"{kinds}; {len(self.failed())} kinds of failure; p50 {p50:.3f} s, p99 {p99:.3f} s"


@contextlib.contextmanager
def traffic(
    release: Release, plan: Plan, *, attempts: int = 1, node: str = "", claim: str = ""
) -> Iterator[Traffic]:
    """Load that flows already when this begins; when it ends, all calls have ended too.

    Meanwhile ``calls`` has those that have been heard of; afterwards all. ``node`` is where it comes from;
    empty: from anywhere. ``claim`` holds what is spoken, where digits are.
    """
    name = f"load-{time.monotonic_ns() % 10**8}"
    objects = _objects(release, name, plan, attempts, node)
    if claim:
        _add_claim(objects["items"][1]["spec"], claim)
    release.space.kubectl("apply", "--filename", "-", text=json.dumps(objects))
    try:
        release.space.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
        made = Traffic()
        with _heard(release, name, made):
            until(lambda: len(made.calls) > 10, 60, "the load's first calls")
            yield made
            made.until = time.time()
        made.calls = _finished(release, name)
    finally:
        release.space.kubectl("delete", f"pod/{name}", f"configmap/{name}", "--wait=true")


@contextlib.contextmanager
def _heard(release: Release, name: str, made: Traffic) -> Iterator[None]:
    """Looks every other second at what it has written."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            with contextlib.suppress(subprocess.CalledProcessError):  # the API server may be away
                made.calls = _logged(release, name)

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        try:
            yield
        finally:
            over.set()
            looking.result()


def _finished(release: Release, name: str) -> list[Call]:
    """All its calls, once the last has ended."""
    release.space.kubectl("exec", name, "--", "python", "-c", "import os, signal; os.kill(1, signal.SIGUSR1)")
    until(lambda: _written(release, name).endswith("done\n"), 120, "the end of the last call")
    return _logged(release, name)


def _logged(release: Release, name: str) -> list[Call]:
    lines = _written(release, name).splitlines()
    return [Call(**json.loads(line)) for line in lines if line.startswith("{")]


def _written(release: Release, name: str) -> str:
    """Nothing until it has begun."""
    return release.space.kubectl(
        "exec", name, "--", "find", "/calls", "-type", "f", "-exec", "cat", "{}", "+"
    )


def _objects(release: Release, name: str, plan: Plan, attempts: int, node: str) -> Document:
    script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    script["data"] = {SCRIPT.name: SCRIPT.read_text(encoding="utf-8")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": _pod(release, name)}
    pod["spec"]["containers"][0]["args"] = [release.host, str(attempts), json.dumps(plan)]
    if node:
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {"apiVersion": "v1", "kind": "List", "items": [script, pod]}


def _add_claim(spec: Document, claim: str) -> None:
    spec["volumes"].append(
        {"name": "spoken", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    )
    mount = {"name": "spoken", "mountPath": "/spoken", "readOnly": True}
    spec["containers"][0]["volumeMounts"].append(mount)


def _pod(release: Release, script: str) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 40,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "load",
                "image": release.image,
                "command": ["python", f"/load/{SCRIPT.name}"],
                "resources": {"requests": {"cpu": "50m"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "load", "mountPath": "/load"},
                    {"name": "calls", "mountPath": "/calls"},
                ],
            }
        ],
        "volumes": [
            {"name": "load", "configMap": {"name": script}},
            {"name": "calls", "emptyDir": {}},
        ],
    }
