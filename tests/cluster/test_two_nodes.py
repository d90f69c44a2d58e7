"""Two nodes: replicas on both; one of them drained, and one without power, under load."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.kube import Release, kubectl, lacking, ready_at, until
from tests.cluster.power import without_power
from tests.cluster.traffic import STEADY, Call, Traffic, traffic

Figure = Callable[[str], None]
COMPONENTS = ("stt", "classification", "envoy")
CALLERS = 4
RECOVERY_SECONDS = 5


@pytest.fixture(scope="module")
def nodes() -> list[str]:
    """The names of the nodes."""
    found = kubectl("get", "nodes", "--output=name").replace("node/", "").split()
    if len(found) < 2:
        lacking("needs a cluster of two nodes: `cluster up 2`")
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


def _ready_on(release: Release, component: str, node: str) -> bool:
    """Whether two pods are ready there; those of a dead node are there in name until it comes back."""
    found = [pod for pod in release.pods(component) if ready_at(pod)]
    return len(found) == 2 and all(pod["spec"]["nodeName"] == node for pod in found)


def _spread(release: Release, nodes: list[str]) -> None:
    """New pods for all, which Kubernetes places on both nodes again."""
    release.space.kubectl("rollout", "restart", "deployment")
    for component in COMPONENTS:
        until(lambda component=component: release.settled(component, 2), 120, f"two of {component}")
        assert _placed(release, component) == set(nodes[:2])


def test_a_node_loses_its_power(nodes: list[str], release: Release, shared: Path, figure: Figure) -> None:
    """Four callers with a connection each, to an Envoy on either node, and two live streams at all times.

    The client tries again, and takes the streams up again, by itself.
    """
    _spread(release, nodes)
    dead, living = nodes[1], nodes[0]
    plan = {kind: {"rate": how["rate"] / CALLERS} for kind, how in STEADY.items()}
    plan |= {"stream": {"workers": 2}}
    with contextlib.ExitStack() as stack:
        callers = [
            stack.enter_context(traffic(release, plan, attempts=5, node=living)) for _ in range(CALLERS)
        ]
        time.sleep(10)
        with without_power(dead, shared) as (began, lost):
            figure(f"all of it silent within {lost - began:.1f} s")
            for component in COMPONENTS:
                until(lambda component=component: _ready_on(release, component, living), 180, component)
            figure(f"all pods ready on the other node after {time.time() - lost:.0f} s")
            time.sleep(3)
        figure("the node is back")
    whole = Traffic([call for caller in callers for call in caller.calls])
    # After 15 s Kubernetes begins to act, and new pods load their models on what is left.
    slow = [call for call in _slow(whole, began) if call.at < lost + 15]
    worst = max((call.ended - call.at for call in slow), default=0.0)
    last = max((call.at - lost for call in slow), default=0.0)
    figure(whole.summary())
    figure(f"{len(slow)} calls took longer, up to {worst:.1f} s; the last of them began {last:.1f} s after")
    figure(_streams(whole))
    assert [caller.failed() for caller in callers] == [[]] * CALLERS
    assert last <= RECOVERY_SECONDS


def _streams(load: Traffic) -> str:
    """Speech is heard to the last word, each once and in its place: all streams have heard the same."""
    heard = [call.replica.split(":") for call in load.calls if call.kind == "stream"]
    assert len({said for said, _ in heard}) == 1, heard
    assert heard[0][0].startswith("3-")
    broken = [int(breaks) for _, breaks in heard if int(breaks)]
    assert broken, "no stream met the dead node"
    return f"{len(heard)} streams, {len(broken)} of them broke {sum(broken)} times: all complete, all alike"


def _slow(load: Traffic, began: float) -> list[Call]:
    """Calls that ended after that time and took a second more than any of their kind had before.

    Streams go on for as long as their audio does.
    """
    usual: dict[str, float] = {}
    calls = [call for call in load.calls if call.kind != "stream"]
    for call in calls:
        if call.ended < began:
            usual[call.kind] = max(usual.get(call.kind, 0.0), call.ended - call.at)
    since = [call for call in calls if call.ended >= began]
    return [call for call in since if call.ended - call.at > usual[call.kind] + 1]
