"""kubectl and helm as functions, for one namespace and one release in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts" / "earshot"
RELEASE = "earshot"
Document = dict[str, Any]
# What a namespace has of itself.
OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


def kubectl(*args: str, text: str = "") -> str:
    """Its output. Raises CalledProcessError, with its complaint as a note, where it fails."""
    return _run(["kubectl", *args], text)


def _run(command: list[str], text: str = "") -> str:
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode:
        error = subprocess.CalledProcessError(run.returncode, command, run.stdout, run.stderr)
        error.add_note(run.stderr)
        raise error
    return run.stdout


def until(check: Callable[[], object], seconds: float, what: str) -> float:
    """Waits until ``check`` is true; gives the seconds that it took. Raises TimeoutError where it is not."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


@dataclass(frozen=True)
class Namespace:
    """A namespace that holds every pod in it to the restricted Pod Security standard."""

    name: str

    def kubectl(self, *args: str, text: str = "") -> str:
        """kubectl in this namespace."""
        return kubectl("--namespace", self.name, *args, text=text)

    def objects(self, kind: str, *args: str) -> list[Document]:
        """All of a kind."""
        found: list[Document] = json.loads(self.kubectl("get", kind, *args, "--output", "json"))["items"]
        return found

    def leftovers(self) -> set[str]:
        """What is in it that it has not of itself."""
        kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        kept = [kind for kind in kinds if not kind.startswith(("events", "endpointslices", "pods.metrics"))]
        names = self.kubectl("get", ",".join(kept), "--output=name", "--ignore-not-found").split()
        return set(names) - OWN


@contextlib.contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """A namespace that is there for so long."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    kubectl("apply", "--filename", "-", text=json.dumps(document))
    try:
        yield Namespace(name)
    finally:
        kubectl("delete", "namespace", name, "--wait=true", "--timeout=120s")


@dataclass(frozen=True)
class Release:
    """The chart, installed in a namespace."""

    space: Namespace
    image: str
    values: Document

    def install(self) -> None:
        """``helm install --wait``."""
        self._helm("install", self.values)

    def upgrade(self, changed: Document | None = None, timeout: str = "180s") -> None:
        """``helm upgrade --wait`` to the release's own values with these on top."""
        self._helm("upgrade", self.values, changed or {}, timeout=timeout)

    def uninstall(self) -> None:
        """``helm uninstall --wait``, and until the last of its pods has ended."""
        _run(["helm", "uninstall", RELEASE, "--namespace", self.space.name, "--wait", "--timeout", "120s"])
        mine = f"--selector=app.kubernetes.io/instance={RELEASE}"
        until(lambda: not self.space.objects("pods", mine), 90, "the end of all its pods")

    def test(self) -> str:
        """``helm test``; gives what its pods printed."""
        return _run(["helm", "test", RELEASE, "--namespace", self.space.name, "--logs", "--timeout", "120s"])

    def _helm(self, verb: str, *values: Document, timeout: str = "180s") -> None:
        repository, _, tag = self.image.rpartition(":")
        merged: Document = {"image": {"repository": repository, "tag": tag}}
        for each in values:
            merged = _merged(merged, each)
        command = ["helm", verb, RELEASE, str(CHART), "--namespace", self.space.name, "--wait"]
        command += ["--timeout", timeout, "--values", "-"]
        _run(command, yaml.safe_dump(merged))

    @property
    def service(self) -> str:
        """The Service for callers."""
        return str(self.values.get("fullnameOverride", RELEASE))

    @property
    def host(self) -> str:
        """Where pods call it."""
        return f"{self.service}.{self.space.name}:80"

    def pods(self, component: str) -> list[Document]:
        """The pods of a component that are not about to end, the oldest first."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        found = [pod for pod in self.space.objects("pods", selector) if not _ending(pod)]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def names(self, component: str) -> list[str]:
        """Their names."""
        return [name_of(pod) for pod in self.pods(component)]

    def settled(self, component: str, count: int) -> bool:
        """Whether so many pods are there, all of them ready, and no other is about to end."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        found = self.space.objects("pods", selector)
        return len(found) == count and all(ready_at(pod) and not _ending(pod) for pod in found)


def _merged(left: Document, right: Document) -> Document:
    """Both trees in one, the right one's values where both have one."""
    both = {
        key: _merged(left[key], right[key])
        for key in left.keys() & right.keys()
        if isinstance(left[key], dict)
    }
    return left | right | both


def _ending(pod: Document) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def name_of(pod: Document) -> str:
    """Its name."""
    return str(pod["metadata"]["name"])


def ready_at(pod: Document) -> float:
    """When it got ready, in seconds of the epoch, to the second; 0 where it is not."""
    for condition in pod["status"].get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"]).timestamp()
    return 0.0


def restarts(pod: Document) -> int:
    """How often its containers were started again."""
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
