"""What a replica says of itself in its figures: its engine and model, and its calls in flight."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from earshot import errors
from earshot.cluster.connection import Cluster
from earshot.cluster.pods import Pod
from earshot.cluster.tunnels import fetch

_MODEL: Final = re.compile(r"^earshot_model_info\{(.*)\} ", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_IN_FLIGHT: Final = re.compile(r"^earshot_requests_in_flight(?:\{.*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one replica runs and does."""

    engine: str
    model: str
    in_flight: int


def figures(cluster: Cluster, pod: Pod) -> Figures:
    """Read from the replica's own ``/metrics``.

    Raises:
        PermissionDeniedError: this user may not forward ports.
        UnavailableError: it does not answer.
    """
    if "metrics" not in pod.ports:
        raise errors.UnavailableError(f"pod {pod.name} has no port named metrics")
    return parse(fetch(cluster, pod, pod.ports["metrics"], "/metrics"))


def parse(text: str) -> Figures:
    """Out of the text format of Prometheus; what is not there is empty."""
    found = _MODEL.search(text)
    labels = {name: _unescape(value) for name, value in _LABEL.findall(found[1] if found else "")}
    in_flight = sum(float(count) for count in _IN_FLIGHT.findall(text))  # a line for each method
    return Figures(labels.get("engine", ""), labels.get("model", ""), int(in_flight))


def _unescape(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)
