"""``earshot cluster logs``: many pods, one log."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice

import pytest

from earshot import errors
from earshot.cluster.logs import Query, follow
from earshot.cluster.release import Release
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.conftest import Run
from tests.unit.cluster.objects import deployment, pod, state

ENDED = {"terminated": {"exitCode": 1}}


def _call(request_id: str, **more: object) -> str:
    return json.dumps({"event": "call", "request_id": request_id} | more)


@pytest.fixture
def logs(content: Content, release: Release) -> Content:
    content.deployments = [deployment("stt")]
    content.pods = [
        pod("edge-1", "envoy", state("envoy"), state("drain", ready=False, now={"waiting": {"reason": "x"}})),
        pod("stt-1", "stt", state("stt", restarts=1, last=ENDED)),
        pod("stt-2", "stt"),
    ]
    content.logs = {
        ("edge-1", "envoy", False): f"2026-01-01T00:00:00.5Z {_call('r-1', grpc_status='Unavailable')}",
        ("stt-1", "stt", True): "2026-01-01T00:00:00.25Z Fatal Python error: r-1",
        # Nodes write the zone that they are in, and as many digits as they like.
        ("stt-1", "stt", False): f"2026-01-01T02:00:01.123456789+02:00 {_call('r-1')}",
        ("stt-2", "stt", False): f"2026-01-01T00:00:00Z started\n2026-01-01T00:00:01Z {_call('r-11')}",
    }
    return content


def test_lines_of_all_pods_and_runs_come_in_the_order_of_time(logs: Content, run: Run) -> None:
    result = run("logs")

    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        *("stt-2", "stt-1", "edge-1", "stt-2", "stt-1"),
    ]
    assert result.stdout.startswith("stt-2 started\nstt-1 Fatal Python error: r-1\n")


def test_the_lines_of_one_request(logs: Content, run: Run) -> None:
    result = run("logs", "--request-id", "r-1", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]

    assert [record["pod"] for record in records] == ["edge-1", "stt-1"]
    assert records[0]["log"] == {"event": "call", "request_id": "r-1", "grpc_status": "Unavailable"}
    assert records[1]["time"] == "2026-01-01T02:00:01.123456+02:00"


def test_the_lines_of_one_component(logs: Content, run: Run) -> None:
    assert run("logs", "--component", "envoy").stdout.count("\n") == 1
    assert run("logs", "--component", "envoy", "--component", "stt").stdout.count("\n") == 5


def test_since_is_in_the_question(logs: Content, run: Run) -> None:
    run("logs", "--since", "1h1m5s", "--component", "envoy")

    assert [path for path in logs.asked if "sinceSeconds=3665" in path]


@pytest.mark.parametrize("text", ["5x", "", "m", "10"])
def test_a_time_that_is_none(run: Run, text: str) -> None:
    result = run("logs", "--since", text)

    assert result.exit_code == 2
    assert "is not a time" in result.stderr


def test_no_right_to_read_logs(logs: Content, run: Run) -> None:
    logs.refusals["/log"] = (403, "cannot get pods/log")

    result = run("logs")

    assert result.exit_code == 4
    assert result.stderr == "earshot: context 'test' lacks a right: cannot get pods/log\n"


def test_following_takes_up_new_pods_and_new_runs(logs: Content, release: Release) -> None:
    with closing(follow(release, Query(request_id="r-1"))) as lines:
        first = {line.pod for line in islice(lines, 2)}
        logs.logs["stt-9", "stt", False] = f"2026-01-01T00:01:00Z {_call('r-1')}"
        logs.pods = [pod("stt-1", "stt", state("stt", restarts=2, last=ENDED)), pod("stt-9", "stt")]

        assert first == {"edge-1", "stt-1"}
        assert {line.pod for line in islice(lines, 2)} == {"stt-1", "stt-9"}


def test_following_ends_where_the_right_is_missing(logs: Content, release: Release) -> None:
    logs.refusals["/log"] = (403, "cannot get pods/log")

    with pytest.raises(errors.PermissionDeniedError, match="pods/log"):
        next(follow(release, Query()))
