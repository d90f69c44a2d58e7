"""What must hold on a cluster, of calls and streams that nobody has made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from tests.cluster.kube import Document, Namespace, Release
from tests.cluster.spoken import Spoken
from tests.cluster.traffic import Call, Traffic
from tests.drills import figures
from tests.drills.cases import ALL
from tests.drills.cluster import judging, scene, stage
from tests.drills.cluster.stage import COMPONENTS, Stage
from tests.drills.drill import CannotError, Drill, Form, Result

SAID = "one two three four five six seven eight nine ten"
FIRST = Call("stream", 0.0, 20.0, "", said=SAID)
CALL = Call("digits", 0.0, 0.1, "", "stt-1", said=SAID)


class Release2(Release):
    """One pod of each."""

    def pods(self, component: str) -> list[Document]:
        labels = {"app.kubernetes.io/component": component}
        return [{"metadata": {"name": component, "labels": labels}, "status": {"podIP": component}}]


@pytest.fixture
def made() -> Stage:
    speech = Spoken("claim", {"stream": SAID.split(), "digits": SAID.split()})
    return Stage(Release2(Namespace("a"), "image:1", {}), speech, "node-1", "node-2", Path())


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """By component: what its pod shows as at work."""
    shown = {component: [0.0] for component in COMPONENTS}

    def found(url: str, _name: str, **_labels: str) -> list[float]:
        return shown[url.removeprefix("http://").partition(":")[0]]

    monkeypatch.setattr(figures, "found", found)
    return shown


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there at once is not there."""

    def until(check: object, _seconds: float, what: str) -> float:
        assert callable(check)
        if not check():
            raise TimeoutError(what)
        return 0.0

    monkeypatch.setattr(judging, "until", until)


def drilled(made: Stage, monkeypatch: pytest.MonkeyPatch, *later: Call, breaks: bool = True) -> Result:
    """A drill in which these streams come after one that nothing has met."""
    caller = Traffic([FIRST, CALL])

    @contextlib.contextmanager
    def calling(_: Stage) -> Iterator[list[Traffic]]:
        yield [caller]
        caller.calls += later

    monkeypatch.setattr(judging, "calling", calling)
    return judging.drilled(made, lambda _stage, _result: None, breaks=breaks)


def stream(said: str = SAID, breaks: int = 1, error: str = "") -> Call:
    return Call("stream", 4.0, 40.0, error, said=said, breaks=breaks)


def test_all_well(made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    result = drilled(made, monkeypatch, stream())

    assert result.broken == []
    assert result.counts["still at work after"] == 0


@pytest.mark.parametrize(
    "said", ["nine " * 10, SAID.replace("four", "for"), SAID.removesuffix(" ten"), f"{SAID} ten"]
)
def test_other_digits_do_not_hold(said: str, made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any("digits lost" in one for one in drilled(made, monkeypatch, stream(said)).broken)


def test_a_fault_that_no_stream_met_does_not(made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert drilled(made, monkeypatch, stream(breaks=0)).broken
    assert not drilled(made, monkeypatch, stream(breaks=0), breaks=False).broken


def test_a_stream_that_failed_does_not(made: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = drilled(made, monkeypatch, stream(error="UnavailableError: gone")).broken

    assert "1 streams did not end" in broken


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_stuck_is_seen(
    component: str, made: Stage, pages: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages[component] = [1.0, 1.0]

    assert f"2 requests are stuck in {component}" in drilled(made, monkeypatch, stream()).broken


def test_a_page_without_the_figure_is_not_taken_for_rest(made: Stage, pages: dict[str, list[float]]) -> None:
    pages["envoy"] = []

    with pytest.raises(LookupError, match="envoy_http_downstream_rq_active"):
        made.at_work()


def test_nothing_is_held_against_a_stream_that_was_wrong_before(
    made: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.speech.words["stream"][:] = ["zero"] * 10

    with pytest.raises(RuntimeError, match="with nothing broken"):
        drilled(made, monkeypatch, stream())


@pytest.mark.parametrize("drill", [one for one in ALL if one.cluster], ids=lambda one: one.name)
async def test_elsewhere_only_what_takes_a_switch_cannot_be_done(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/another")
    monkeypatch.setattr("tests.drills.cluster.scene.drilled", create_autospec(judging.drilled))

    if drill.name in {"node_without_power", "api_server_away"}:
        with pytest.raises(CannotError, match="can be switched"):
            await drill.run(None, Form(short=False))
    else:
        await drill.run(None, Form(short=False))


def nodes(monkeypatch: pytest.MonkeyPatch, *taints: str) -> None:
    """A cluster with so many, a taint each where it is not empty."""
    monkeypatch.setenv("KUBECONFIG", "/another")
    found = [
        {"metadata": {"name": f"node-{number}"}, "spec": {"taints": [{"effect": taint}] if taint else []}}
        for number, taint in enumerate(taints)
    ]
    monkeypatch.setattr(stage, "kubectl", lambda *_: json.dumps({"items": found}))


def test_the_stage_is_on_nodes_that_take_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, "NoSchedule", "", "PreferNoSchedule")

    assert stage.nodes() == ("node-1", "node-2")


def test_it_needs_two_of_a_cluster_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes(monkeypatch, "", "NoSchedule")
    with pytest.raises(LookupError, match="two nodes"):
        stage.nodes()
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(LookupError, match="KUBECONFIG"):
        stage.nodes()


async def test_a_drill_that_is_late_does_nothing_beside_the_next() -> None:
    """It is in a thread, which nothing stops."""
    ended = threading.Event()

    def slow(*_: object) -> None:
        time.sleep(0.3)
        ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await scene.in_thread(slow)
    assert ended.is_set()
