"""``earshot cluster`` against a real API server, with no kubectl in its way."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from earshot import errors
from earshot.cli.errors import ExitCode
from earshot.client import Client
from earshot.local.ports import free_ports
from tests.cluster.access import explained
from tests.cluster.kube import Namespace, Release, until

COMMAND = [sys.executable, "-m", "earshot.cli", "cluster"]
CALLERS = 20
JANE = "jane"  # who has no right to anything but what a test gives her


def _run(space: Namespace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments, "--namespace", space.name]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )


def _status(space: Namespace) -> Any:
    run = _run(space, "status", "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@contextlib.contextmanager
def _forward(space: Namespace) -> Iterator[tuple[str, list[str]]]:
    """Where the forwarded port is, and what the command says meanwhile; it must end cleanly."""
    (port,) = free_ports(1)
    command = [*COMMAND, "forward", "--port", str(port), "--namespace", space.name]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        reader = threading.Thread(target=said.extend, args=(process.stderr,))
        reader.start()
        try:
            assert process.stdout.readline().startswith(f"ready on 127.0.0.1:{port}")
            yield f"127.0.0.1:{port}", said
        finally:
            process.terminate()
            rest = process.stdout.read()
            reader.join()
    assert (process.returncode, rest) == (0, "stopped\n")


def test_status_shows_all_of_a_release(release: Release) -> None:
    waited = _run(release.space, "wait", "--timeout", "120")
    assert waited.returncode == 0, waited.stderr

    seen = _status(release.space)

    assert seen["notes"] == []
    assert {each["component"]: each["ready"] for each in seen["deployments"]} == {
        "stt": 2,
        "classification": 2,
        "envoy": 2,
    }
    assert {(pod["component"], pod["engine"]) for pod in seen["pods"]} == {
        ("stt", "pocketsphinx"),
        ("classification", "embedding"),
        ("envoy", None),
    }
    assert len(seen["endpoints"]) == 8  # each of two Envoys knows two pods of two services
    assert {each["health"] for each in seen["endpoints"]} == {"healthy"}


def test_one_request_is_found_in_the_logs(release: Release) -> None:
    named = {"x-request-id": str(uuid.uuid4())}
    with _forward(release.space) as (target, _), Client(target, metadata=named) as client:
        client.classify("my card is stuck in the machine", labels=["card", "weather"])

    run = _run(release.space, "logs", "--request-id", named["x-request-id"], "--json")

    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(record["component"], record["log"]["method"]) for record in records] == [
        ("classification", "Classify")
    ]


def test_forward_outlives_its_envoy(release: Release, figure: Callable[[str], None]) -> None:
    """Many callers at once, each with a connection of its own, while the Envoy pod goes: none fails."""
    answered, failures = [0] * CALLERS, list[str]()
    over = threading.Event()

    def call(index: int, target: str) -> None:
        with Client(target, timeout=30) as client:
            while not over.is_set():
                try:
                    client.classify("my card is stuck", labels=["card", "weather"])
                    answered[index] += 1
                except errors.EarshotError as error:
                    failures.append(repr(error))
                time.sleep(0.2)

    with _forward(release.space) as (target, said):
        threads = [threading.Thread(target=call, args=(index, target)) for index in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: all(answered), 60, "an answer for every caller")
            first = said[0].split()[-1]
            release.space.kubectl("delete", "pod", first, "--wait=true")
            before = answered.copy()
            until(
                lambda: all(now > then for now, then in zip(answered, before, strict=True)),
                60,
                "an answer for every caller after the pod has gone",
            )
        finally:
            over.set()
            for thread in threads:
                thread.join()

    figure(f"{sum(answered)} calls by {CALLERS} callers over a pod's end, {len(failures)} failed")
    assert failures == []
    assert [line.rpartition(" ")[0] for line in said] == ["earshot: connections go to pod"] * len(said)
    assert len({line.split()[-1] for line in said}) >= 2


def test_status_and_wait_say_why_a_pod_does_not_come_up(release: Release) -> None:
    with contextlib.suppress(subprocess.CalledProcessError):  # as it must: it waits for what never comes
        release.upgrade({"envoy": {"image": {"tag": "no-such-tag"}}}, timeout="5s")
    try:
        explained(release, "ImagePull")
        waited = _run(release.space, "wait", "--timeout", "1")
        seen = _status(release.space)
    finally:
        release.upgrade()

    assert waited.returncode == ExitCode.UNAVAILABLE
    assert "earshot-envoy (1 of 2 pods updated, 3 in all)" in waited.stderr
    (deployment,) = [each for each in seen["deployments"] if each["component"] == "envoy"]
    assert deployment["ready"] == 2  # the old pods keep serving


def test_without_rights(release: Release, tmp_path: Path) -> None:
    """One who may see pods, and not reach into them, sees what there is and what is missing."""
    space = release.space
    config = json.loads(space.kubectl("config", "view", "--raw", "--output", "json"))
    token = _token(space)
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    path = str(tmp_path / "kubeconfig")
    Path(path).write_text(json.dumps(config), encoding="utf-8")
    try:
        refused = _run(space, "status", KUBECONFIG=path)
        space.kubectl("create", "role", JANE, "--verb=list", "--resource=pods,deployments.apps")
        space.kubectl(
            "create", "rolebinding", JANE, f"--role={JANE}", f"--serviceaccount={space.name}:{JANE}"
        )
        partly = _run(space, "status", KUBECONFIG=path)
        forward = _run(space, "forward", "--port", "1025", KUBECONFIG=path)
    finally:
        for kind in ("rolebinding", "role", "serviceaccount"):
            space.kubectl("delete", kind, JANE, "--ignore-not-found")

    assert refused.returncode == ExitCode.REFUSED
    assert "cannot list resource" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert partly.returncode == 0
    assert "earshot-stt\t2\t2\t2\tready" in partly.stdout
    assert [line.split(":")[1].strip() for line in partly.stderr.splitlines()] == [
        "engine not shown",
        "Envoy's view not shown",
        "autoscalers not shown",
    ]
    assert forward.returncode == ExitCode.REFUSED
    assert "pods/portforward" in forward.stderr


def _token(space: Namespace) -> str:
    space.kubectl("create", "serviceaccount", JANE)
    return space.kubectl("create", "token", JANE).strip()


def test_a_namespace_without_a_release(space: Namespace) -> None:
    run = _run(Namespace("default"), "status", "--release", "no-such-release")

    assert run.returncode == ExitCode.REFUSED
    assert "no release 'no-such-release' in namespace 'default'" in run.stderr
