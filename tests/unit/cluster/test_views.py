"""From the API's objects to what is shown: pods in trouble, deployments, autoscalers, engines."""

from __future__ import annotations

from typing import Any

import pytest

from earshot.cluster.autoscalers import Figure, autoscalers
from earshot.cluster.components import Component
from earshot.cluster.engines import Figures, parse
from earshot.cluster.release import Release
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.objects import NAMESPACE, autoscaler, deployment, pod, state

CRASH = {"terminated": {"exitCode": 1, "reason": "Error", "message": "loading\nno such model\n"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container"}}
NO_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling\n image x"}}
UNSCHEDULED = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ready": (pod("a", "stt"), {"ready": True, "trouble": "", "blamed": "", "starting": False, "ended": ""}),
    "crash loop": (
        pod("a", "stt", state("stt", ready=False, restarts=3, now=BACK_OFF, last=CRASH), ready=False),
        {
            "trouble": "stt: CrashLoopBackOff",
            "detail": "",
            "restarts": 3,
            "ended": "Error, exit code 1",
            "last_words": "no such model",
            "blamed": "stt",
            "starting": False,
        },
    ),
    "between two runs": (
        pod("a", "stt", state("stt", ready=False, now=CRASH), ready=False),
        {"trouble": "stt: Error, exit code 1", "last_words": "no such model", "starting": False},
    ),
    "no image": (
        pod("a", "stt", state("stt", ready=False, now=NO_IMAGE), ready=False),
        {"trouble": "stt: ImagePullBackOff", "detail": "Back-off pulling image x", "starting": False},
    ),
    "creating": (
        pod(
            "a",
            "stt",
            state("stt", ready=False, now={"waiting": {"reason": "ContainerCreating"}}),
            ready=False,
        ),
        {"trouble": "stt: ContainerCreating", "starting": True},
    ),
    "loading": (
        pod("a", "stt", ready=False),
        {"trouble": "stt: runs, but is not ready", "starting": True, "ended": ""},
    ),
    "second container": (
        pod("a", "envoy", state("envoy"), state("drain", ready=False, now=NO_IMAGE), ready=False),
        {"blamed": "drain", "image": "registry/envoy:1"},
    ),
    "init container": (
        pod(
            "a",
            "stt",
            state("stt", ready=False, now={"waiting": {"reason": "PodInitializing"}}),
            ready=False,
            initContainerStatuses=[state("download", ready=False, restarts=1, now=CRASH)],
        ),
        {"blamed": "download", "ended": "Error, exit code 1", "restarts": 1},
    ),
    "init container that is done": (
        pod("a", "stt", initContainerStatuses=[state("download", now={"terminated": {"exitCode": 0}})]),
        {"ready": True, "ended": "", "blamed": ""},
    ),
    "killed for memory, and back": (
        pod(
            "a",
            "stt",
            state("stt", restarts=1, last={"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
        ),
        {"ready": True, "ended": "OOMKilled, exit code 137", "restarts": 1},
    ),
    "no node": (
        pod("a", "stt", ready=False, phase="Pending", conditions=UNSCHEDULED, containerStatuses=[]),
        {"trouble": "Unschedulable", "detail": "0/1 nodes", "starting": False},
    ),
    "evicted": (
        pod("a", "stt", ready=False, phase="Failed", reason="Evicted", message="low on memory"),
        {"trouble": "Evicted", "detail": "low on memory"},
    ),
    "leaving": (pod("a", "stt", leaving=True), {"ready": True, "leaving": True, "serving": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pod(content: Content, release: Release, case: str) -> None:
    found, expected = CASES[case]
    content.pods = [found]

    (seen,) = release.pods()

    assert {name: getattr(seen, name) for name in expected} == expected


def test_pods_are_those_of_the_release_and_its_components(content: Content, release: Release) -> None:
    content.pods = [
        pod("b", "stt"),
        pod("a", "stt"),
        pod("e", "envoy"),
        pod("t", "test"),
        pod("x", "stt") | {"metadata": {"name": "x", "namespace": NAMESPACE, "labels": {}}},
    ]

    assert [each.name for each in release.pods()] == ["e", "a", "b"]
    assert [each.name for each in release.pods(Component.ENVOY)] == ["e"]


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({}, True),
        ({"readyReplicas": 1}, False),
        ({"readyReplicas": 3, "replicas": 3}, False),
        ({"updatedReplicas": 1}, False),
        ({"replicas": 3}, False),
        ({"observedGeneration": 2}, False),
    ],
)
def test_a_deployment_is_settled_when_all_and_only_new_pods_are_ready(
    content: Content, release: Release, status: dict[str, int], settled: bool
) -> None:
    content.deployments = [deployment("stt", wanted=2, ready=2, **status)]

    (seen,) = release.deployments()

    assert seen.settled is settled


def test_a_deployment_says_what_holds_it_up(content: Content, release: Release) -> None:
    quota = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota",
    }
    fine = {"type": "Available", "status": "False", "message": "does not have minimum availability"}
    content.deployments = [deployment("stt", wanted=2, ready=0, conditions=[fine, quota])]

    assert release.deployments()[0].problem == "exceeded quota"


def test_an_autoscaler_with_its_figures(content: Content, release: Release) -> None:
    def utilization(key: str, percent: int) -> dict[str, Any]:
        return {key: {"averageUtilization": percent, "type": "Utilization"}}

    def average(key: str, value: str) -> dict[str, Any]:
        return {key: {"averageValue": value, "type": "AverageValue"}}

    container = {"name": "cpu", "container": "stt"}
    pods = {"metric": {"name": "earshot_admitted_requests"}}
    external = {"metric": {"name": "queue"}}
    content.autoscalers = [
        autoscaler(
            "voice-stt",
            metrics=[
                {"type": "Resource", "resource": {"name": "memory", **utilization("target", 80)}},
                {"type": "ContainerResource", "containerResource": container | average("target", "700m")},
                {"type": "Pods", "pods": pods | average("target", "6")},
                {"type": "External", "external": external | average("target", "1")},
            ],
            current=[
                {"type": ""},  # what could not be measured
                {"type": "Pods", "pods": pods | average("current", "4500m")},
                {"type": "Resource", "resource": {"name": "memory", **utilization("current", 41)}},
                {"type": "ContainerResource", "containerResource": container | average("current", "6m")},
            ],
            conditions=[
                {
                    "type": "ScalingActive",
                    "status": "False",
                    "reason": "FailedGetMetric",
                    "message": "no queue",
                },
                {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange"},
            ],
        ),
        autoscaler("other", metrics=[], current=[]),
    ]

    (seen,) = autoscalers(release.cluster, release.namespace, {"voice-stt"})

    assert (seen.minimum, seen.maximum, seen.current, seen.desired) == (2, 6, 2, 3)
    assert seen.problem == "no queue"
    assert seen.figures == (
        Figure("memory", "41%", "80%"),
        Figure("cpu of stt", "6m", "700m"),
        Figure("earshot_admitted_requests", "4500m", "6"),
        Figure("queue", "", "1"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '# TYPE x gauge\nearshot_model_info{engine="whisper",model="a\\\\b \\"c\\"}"} 1.0\n'
            'earshot_requests_in_flight{method="ListModels"} 1.0\n'
            'earshot_requests_in_flight{method="Recognize"} 2.0\n',
            Figures("whisper", 'a\\b "c"}', 3),
        ),
        ("", Figures("", "", 0)),
    ],
)
def test_what_a_replica_says_of_itself(text: str, expected: Figures) -> None:
    assert parse(text) == expected
