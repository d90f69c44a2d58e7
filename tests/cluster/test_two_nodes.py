"""Two nodes: replicas on both; one of them drained, and one without power, under calls and live streams."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.kube import Release, kubectl, ready_at, until
from tests.cluster.power import without_power
from tests.cluster.spoken import Spoken, spoken
from tests.cluster.traffic import Call, Plan, Traffic, traffic
from tests.lacking import lacking

Figure = Callable[[str], None]
# Most of it cheap: two cores have to do for everything. Of each clip and each stream all words are known.
CALLS: Plan = {"classify": {"rate": 12}, "models": {"rate": 4}, "digits": {"rate": 0.5}}
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


@pytest.fixture(scope="module")
def speech(
    nodes: list[str], release: Release, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Spoken]:
    """What is spoken; the release hears it for so long."""
    with spoken(release.space, shared, tmp_path_factory.mktemp("spoken")) as made:
        release.upgrade(made.values)
        yield made
        release.upgrade()


def _placed(release: Release, component: str) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in release.pods(component)}


def test_replicas_are_on_both(nodes: list[str], release: Release) -> None:
    for component in COMPONENTS:
        assert _placed(release, component) == set(nodes[:2])


def _heard(load: Traffic, speech: Spoken) -> str:
    """All that was spoken, each word once, in clips and in streams, and always the same words."""
    streams = [call for call in load.calls if call.kind == "stream"]
    assert streams
    for kind in speech.words:
        found = speech.difference(load.calls, kind)
        assert (found.lost, found.doubled) == (0, 0), (kind, found)
        said = {call.said for call in load.calls if call.kind == kind and not call.error}
        assert len(said) == 1, (kind, said)
    breaks = [call.breaks for call in streams]
    return (
        f"{len(streams)} streams, {sum(map(bool, breaks))} of them broke, {sum(breaks)} times: no word lost"
    )


def test_a_node_is_drained(nodes: list[str], release: Release, speech: Spoken, figure: Figure) -> None:
    """The client tries no call again by itself; streams it takes up again."""
    leaving, staying = nodes[1], nodes[0]
    plan = CALLS | {"stream": {"workers": 2}}
    with traffic(release, plan, node=staying, claim=speech.claim) as load:
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
    figure(_heard(load, speech))


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


def test_a_node_loses_its_power(
    nodes: list[str], release: Release, speech: Spoken, shared: Path, figure: Figure
) -> None:
    """Four callers with a connection and a stream each, by way of an Envoy on either node.

    The client tries again, and takes streams up again, by itself.
    """
    _spread(release, nodes)
    dead, living = nodes[1], nodes[0]
    plan = {kind: {"rate": how["rate"] / CALLERS} for kind, how in CALLS.items()} | {"stream": {"workers": 1}}
    with contextlib.ExitStack() as stack:
        load = partial(traffic, release, plan, attempts=5, node=living, claim=speech.claim)
        callers = [stack.enter_context(load()) for _ in range(CALLERS)]
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
    assert [caller.failed() for caller in callers] == [[]] * CALLERS
    figure(_heard(whole, speech))
    assert last <= RECOVERY_SECONDS


def _slow(load: Traffic, began: float) -> list[Call]:
    """Calls that ended after that time and took a second more than any of their kind had before.

    A stream goes on for as long as its audio does.
    """
    usual: dict[str, float] = {}
    calls = [call for call in load.calls if call.kind != "stream"]
    for call in calls:
        if call.ended < began:
            usual[call.kind] = max(usual.get(call.kind, 0.0), call.ended - call.at)
    since = [call for call in calls if call.ended >= began]
    return [call for call in since if call.ended - call.at > usual[call.kind] + 1]
