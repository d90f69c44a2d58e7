"""Two nodes: replicas on both, and one of them drained under load."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster.kube import Release, kubectl, until
from tests.cluster.traffic import STEADY, traffic

Figure = Callable[[str], None]
COMPONENTS = ("stt", "classification", "envoy")


@pytest.fixture(scope="module")
def nodes() -> list[str]:
    """The names of the nodes."""
    found = kubectl("get", "nodes", "--output=name").replace("node/", "").split()
    if len(found) < 2:
        pytest.skip("needs a cluster of two nodes: `cluster up 2`")
    return found


def _placed(release: Release, component: str) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in release.pods(component)}


def test_replicas_are_on_both(nodes: list[str], release: Release) -> None:
    for component in COMPONENTS:
        assert _placed(release, component) == set(nodes[:2])


def test_a_node_is_drained(nodes: list[str], release: Release, figure: Figure) -> None:
    leaving, staying = nodes[1], nodes[0]
    with traffic(release, STEADY, node=staying) as load:
        began = time.monotonic()
        kubectl(
            "drain", leaving, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s"
        )
        try:
            for component in COMPONENTS:
                until(lambda component=component: release.settled(component, 2), 120, f"two of {component}")
                assert _placed(release, component) == {staying}
            figure(f"{time.monotonic() - began:.0f} s until all was on the other node")
            time.sleep(3)
        finally:
            kubectl("uncordon", leaving)
    figure(load.summary())
    assert load.failed() == []
