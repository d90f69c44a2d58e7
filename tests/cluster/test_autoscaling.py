"""Pods follow the load, up and down, by CPU and by the work inside them; no call fails on the way."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.conftest import IMAGE, SMALL
from tests.cluster.kube import Document, Namespace, Release, kubectl, until
from tests.cluster.prometheus import prometheus
from tests.cluster.traffic import traffic

Figure = Callable[[str], None]
HEAVY = {"recognize": {"workers": 8.0}}
LIGHT = {"recognize": {"rate": 0.2}, "models": {"rate": 4.0}}
# Down while a test waits; up as in production.
QUICK: Document = {
    "scaleDown": {
        "stabilizationWindowSeconds": 5,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}],
    }
}


@pytest.fixture(scope="module")
def release(space: Namespace) -> Iterator[Release]:
    """The chart with one to three pods of speech to text, by CPU."""
    scaling = {"enabled": True, "minReplicas": 1, "maxReplicas": 3, "behavior": QUICK, "cpu": "150m"}
    made = Release(space, IMAGE, SMALL | {"stt": SMALL["stt"] | {"autoscaling": scaling}})
    made.install()
    yield made
    made.uninstall()
    assert space.leftovers() == set()


def _up_and_down(release: Release, figure: Figure) -> None:
    until(lambda: release.settled("stt", 1) and _is_measured(release), 180, "one pod at rest")
    with traffic(release, LIGHT) as light:
        with traffic(release, HEAVY) as heavy:
            began = min(call.at for call in heavy.calls)
            until(lambda: len(release.pods("stt")) == 3, 90, "three pods wanted")
            wanted = time.time() - began
            until(lambda: release.settled("stt", 3), 90, "three pods ready")
            ready = time.time() - began
        down = until(lambda: release.settled("stt", 1), 180, "one pod again")
    figure(f"three pods wanted {wanted:.0f} s after the first call, ready after {ready:.0f} s")
    figure(f"one again {down:.0f} s after the load; {heavy.summary()}")
    assert ready < 45
    assert heavy.failed() == []
    assert light.failed() == []


def _is_measured(release: Release) -> bool:
    """Whether the autoscaler has figures; those of a pod that has just started do not count."""
    (hpa,) = [one for one in release.space.objects("hpa") if one["metadata"]["name"] == "earshot-stt"]
    conditions = {each["type"]: each["status"] for each in hpa["status"].get("conditions", [])}
    return conditions.get("ScalingActive") == "True" and bool(hpa["status"].get("currentMetrics"))


def test_by_cpu(release: Release, figure: Figure) -> None:
    _up_and_down(release, figure)


def test_by_the_work_inside(release: Release, figure: Figure) -> None:
    """Needs prometheus-adapter in the cluster, which makes a metric of each series that has a pod."""
    space = release.space.name
    path = f"/apis/custom.metrics.k8s.io/v1beta1/namespaces/{space}/pods/*/earshot_admitted_requests"
    with prometheus():
        release.upgrade({"stt": {"autoscaling": {"metric": "work", "work": 2}}})
        until(lambda: _is_served(path), 60, "the metric in the custom metrics API")
        _up_and_down(release, figure)


def _is_served(path: str) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        return bool(json.loads(kubectl("get", "--raw", path))["items"])
    return False
