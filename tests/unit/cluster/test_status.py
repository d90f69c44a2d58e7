"""``earshot cluster status`` and ``wait``, with Envoys and replicas behind port-forwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from earshot import errors
from earshot.cli.errors import ExitCode
from earshot.cluster.edges import UNKNOWN
from earshot.cluster.release import Release
from earshot.cluster.waiting import wait
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.conftest import Run, http_server
from tests.unit.cluster.objects import autoscaler, deployment, envoy_clusters, pod, state

METRICS = 'earshot_model_info{engine="pocketsphinx",model="en-us"} 1.0\nearshot_requests_in_flight 2.0\n'
HEALTHY = {"eds_health_status": "HEALTHY"}
HOSTS = [
    ("speech_to_text", "10.0.0.1", HEALTHY),
    ("speech_to_text", "10.0.0.9", HEALTHY | {"failed_active_health_check": True}),
]
CRASHED = state("stt", ready=False, restarts=2, now={"waiting": {"reason": "CrashLoopBackOff"}})


@pytest.fixture
def answers(content: Content, release: Release) -> Iterator[dict[str, str]]:
    """One Envoy that knows one of two replicas, and a third replica that does not come up."""
    content.deployments = [deployment("envoy"), deployment("stt", wanted=3, ready=2)]
    content.pods = [
        pod("edge-1", "envoy", podIP="10.0.0.5"),
        pod("stt-1", "stt", podIP="10.0.0.1"),
        pod("stt-2", "stt", podIP="10.0.0.2"),
        pod("stt-3", "stt", CRASHED, ready=False, podIP="10.0.0.9"),
    ]
    content.logs["stt-3", "stt", False] = "2026-01-01T00:00:00Z loading\n2026-01-01T00:00:01Z no such model\n"
    content.autoscalers = [autoscaler("voice-stt", metrics=[], current=[])]
    said = {"/metrics": METRICS, "/clusters?format=json": json.dumps(envoy_clusters(*HOSTS))}
    with http_server(said) as port:
        content.ports = {("edge-1", 9901): port, ("stt-1", 9464): port, ("stt-2", 9464): port}
        yield said


def _seen(run: Run) -> Any:
    result = run("status", "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_status_has_engines_and_last_words(answers: dict[str, str], run: Run) -> None:
    pods = {each["name"]: each for each in _seen(run)["pods"]}

    assert (pods["stt-1"]["engine"], pods["stt-1"]["model"], pods["stt-1"]["in_flight"]) == (
        "pocketsphinx",
        "en-us",
        2,
    )
    assert pods["edge-1"]["engine"] is None
    assert pods["stt-3"]["last_line"] == "no such model"
    assert pods["stt-3"]["trouble"] == "stt: CrashLoopBackOff"
    assert pods["stt-1"]["last_line"] == ""


def test_status_has_envoy_s_view_of_each_replica(answers: dict[str, str], run: Run) -> None:
    views = {each["pod"]: each for each in _seen(run)["endpoints"]}

    assert views.keys() == {"stt-1", "stt-2", "stt-3"}  # and not the admin
    assert (views["stt-1"]["health"], views["stt-1"]["calls"]) == ("healthy", 12)
    assert views["stt-2"]["health"] == UNKNOWN
    assert views["stt-3"]["health"] == "failed active health check"
    assert all(view["envoy"] == "edge-1" for view in views.values())


def test_status_in_a_pipe_is_lines_with_tabs(answers: dict[str, str], run: Run) -> None:
    result = run("status")
    lines = result.stdout.splitlines()

    assert lines[0] == "release voice, namespace speech, context test"
    assert "voice-stt\t2\t3\t2\tchanging" in lines
    assert "voice-stt-hpa\tvoice-stt\t2\t3\t2\t6\t\t" in lines
    assert "stt-1\tstt\tready\t0\tpocketsphinx\ten-us\t2\tnode-1\tregistry/stt:1" in lines
    assert "stt-3\tstt\tnot ready\t2\t\t\t\tnode-1\tregistry/stt:1" in lines
    assert "edge-1\tstt-2\t10.0.0.2\tnot known to it\t0\t0" in lines
    assert lines[-2:] == ["stt-3: stt: CrashLoopBackOff", "stt-3: last line of its log: no such model"]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("path", "note", "left"),
    [
        ("portforward", "engine not shown: ", ("deployments", "autoscalers", "pods")),
        ("portforward", "Envoy's view not shown: ", ("deployments", "autoscalers", "pods")),
        ("horizontalpodautoscalers", "autoscalers not shown: ", ("deployments", "pods", "endpoints")),
        ("/log", "last log line not shown: ", ("deployments", "autoscalers", "pods", "endpoints")),
    ],
)
def test_a_right_that_is_missing_hides_only_its_part(  # noqa: PLR0917 - a table
    answers: dict[str, str], content: Content, run: Run, path: str, note: str, left: tuple[str, ...]
) -> None:
    content.refusals[path] = (403, f'User "jane" cannot use {path}')

    seen = _seen(run)

    notes = [each for each in seen["notes"] if each.startswith(note)]
    assert notes == [f"{note}context 'test' lacks a right: User \"jane\" cannot use {path}"]
    assert all(seen[part] for part in left)


def test_a_pod_that_does_not_answer_is_a_note(answers: dict[str, str], content: Content, run: Run) -> None:
    del content.ports["stt-2", 9464]

    result = run("status")

    assert result.exit_code == 0
    assert "engine not shown: no answer from port 9464 of pod stt-2" in result.stderr


def test_what_is_no_envoy_is_a_note(answers: dict[str, str], run: Run) -> None:
    answers["/clusters?format=json"] = "<html>"

    assert _seen(run)["notes"] == ["Envoy's view not shown: pod edge-1 does not answer as an Envoy does"]


def test_wait_says_what_it_waits_for_and_gives_up(answers: dict[str, str], run: Run) -> None:
    result = run("wait", "--timeout", "0")

    assert result.exit_code == ExitCode.UNAVAILABLE
    lack = "voice-stt (2 of 3 pods ready): stt-3: stt: CrashLoopBackOff"
    assert result.stderr.splitlines() == [
        f"earshot: waiting for {lack}",
        f"earshot: not ready after 0 s, waiting for {lack}",
    ]


def test_wait_waits_for_pods_and_then_for_envoy(
    answers: dict[str, str], content: Content, release: Release
) -> None:
    told: list[str] = []

    def tell(line: str) -> None:
        """Each time that something is missing, that comes."""
        told.append(line)
        if "voice-stt (2 of 3" in line:
            content.deployments[1] = deployment("stt", wanted=2, ready=2)
            content.pods.pop()
        else:
            both = [("speech_to_text", address, HEALTHY) for address in ("10.0.0.1", "10.0.0.2")]
            answers["/clusters?format=json"] = json.dumps(envoy_clusters(*both))

    wait(release, 60, tell)

    assert told == [
        "waiting for voice-stt (2 of 3 pods ready): stt-3: stt: CrashLoopBackOff",
        "waiting for edge-1 to send calls to stt-2 (not known to it)",
    ]


def test_wait_bears_an_api_server_that_is_away(
    answers: dict[str, str], content: Content, release: Release
) -> None:
    content.refusals["pods"] = (503, "back soon")

    with pytest.raises(errors.DeadlineExceededError, match="back soon"):
        wait(release, 0, lambda _line: None)


def test_wait_does_without_envoy_where_it_may_not_ask(
    answers: dict[str, str], content: Content, release: Release
) -> None:
    content.deployments[1] = deployment("stt", wanted=2, ready=2)
    content.refusals["portforward"] = (403, "no")
    told: list[str] = []

    wait(release, 60, told.append)

    assert told == ["Envoy is not asked: context 'test' lacks a right: no"]
