"""Ways in from this machine: a port that leads to a release, and ``earshot cluster``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from earshot.local.ports import free_ports
from tests.cluster.kube import Release, until

STATUS = [sys.executable, "-m", "earshot.cli", "cluster", "status"]


@contextlib.contextmanager
def forwarded(release: Release) -> Iterator[str]:
    """The release's port on this machine."""
    with led(release.space.name, f"service/{release.service}", 80) as address:
        yield address


@contextlib.contextmanager
def led(space: str, what: str, its: int) -> Iterator[str]:
    """A port of a Service or a pod on this machine, by ``kubectl port-forward``."""
    (port,) = free_ports(1)
    command = ["kubectl", "--namespace", space, "port-forward", what, f"{port}:{its}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            assert "Forwarding" in forward.stdout.readline()
            yield f"127.0.0.1:{port}"
        finally:
            forward.terminate()


def status(release: Release) -> str:
    """What ``earshot cluster status`` prints."""
    command = [*STATUS, "--namespace", release.space.name]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout


def explained(release: Release, words: str) -> str:
    """The line of ``earshot cluster status`` with these words, once it is there. Raises TimeoutError."""
    seen: list[str] = []

    def is_there() -> bool:
        seen[:] = [line for line in status(release).splitlines() if words in line]
        return bool(seen)

    until(is_there, 90, words)
    return seen[0]
