"""What the chart offers to who watches: a Prometheus in the cluster finds all pods by the chart's settings,
and every query of dashboards, rules and alerts answers there.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from earshot.client import AsyncClient, Final, Interim
from tests.cluster.access import forwarded, led
from tests.cluster.kube import Document, Release, until
from tests.cluster.prometheus import prometheus
from tests.monitoring import dashboards
from tests.monitoring.asking import Prometheus, filled_in
from tests.monitoring.traffic import SAMPLES, Callers, Ledger

WATCHED: Document = {
    "monitoring": {
        "podMonitor": {"enabled": True},
        "rules": {"enabled": True},
        "dashboards": {"enabled": True},
        "runbooks": "https://wiki.example/runbooks",
    }
}
COMPONENTS = {"stt", "classification", "envoy"}
# What may have no series here, and why.
EMPTY = {
    "kube_horizontalpodautoscaler_": "kube-state-metrics tells of autoscalers, and this cluster has none",
    "annotation Deployments": "nothing was deployed meanwhile",
    "annotation Scaling": "no pod came or went meanwhile",
}


@dataclass
class Seen:
    """A release and the Prometheus that reads it, after some calls."""

    release: Release
    prometheus: Prometheus
    calls: Ledger


@pytest.fixture(scope="module")
def seen(release: Release) -> Iterator[Seen]:
    release.upgrade(WATCHED)
    space = release.space
    (rules,) = space.objects("prometheusrules.monitoring.coreos.com")
    monitors = space.objects("podmonitors.monitoring.coreos.com")
    with prometheus(monitors, rules["spec"]), led("monitoring", "service/prometheus", 9090) as address:
        made = Seen(release, Prometheus(f"http://{address}"), Ledger())
        up = f'up{{job="pods",namespace="{space.name}"}} == 1'
        until(lambda: len(made.prometheus.by("pod", up)) == len(_pods(release)), 60, "all pods in Prometheus")
        with forwarded(release) as target:
            asyncio.run(_calls(made, target))
        yield made
    release.upgrade()


async def _calls(seen: Seen, target: str) -> None:
    """Three times the same, read after each: one of two pods has had it twice, and what grows has a rate."""
    async with grpc.aio.insecure_channel(target) as channel, AsyncClient(target) as client:
        callers = Callers(channel, [], seen.calls)
        for _ in range(3):
            await callers.round()
            async with client.stream(next(SAMPLES.glob("*.wav")), realtime=True) as stream:
                assert {Interim, Final} <= {type(event) async for event in stream}
            await asyncio.to_thread(_settle, seen)


def _settle(seen: Seen) -> None:
    """Until all calls have been read, and twice."""
    method = 'envoy_cluster_grpc_total{envoy_grpc_bridge_method="Classify"}'
    until(lambda: seen.prometheus.total(method) == seen.calls.of("Classify"), 60, "all calls in Prometheus")
    time.sleep(5)  # two scrapes


def _pods(release: Release) -> set[str]:
    return {name for component in COMPONENTS for name in release.names(component)}


@pytest.mark.parametrize("jobs", ["pods", "podmonitor/.+"], ids=["annotations", "PodMonitors"])
def test_all_pods_are_found(seen: Seen, jobs: str) -> None:
    up = seen.prometheus.by("pod", f'up{{job=~"{jobs}",namespace="{seen.release.space.name}"}}')
    assert up == dict.fromkeys(_pods(seen.release), 1.0)


def test_every_panel_answers(seen: Seen, figure: Callable[[str], None]) -> None:
    asked = list(dashboards.asked())
    answers = {one: seen.prometheus.values(filled_in(one.expr)) for one in asked}
    empty = {one for one, values in answers.items() if not values}
    assert not [one for one in empty if not any(one.expr.startswith(k) or one.title == k for k in EMPTY)]
    assert not [one for one, values in answers.items() if not all(map(math.isfinite, values))]
    figure(f"{len(asked)} queries, {len(empty)} without an answer, as they may be")


def test_every_variable_has_values(seen: Seen) -> None:
    pods = {name for name in _pods(seen.release) if "-envoy-" not in name}
    expected = {"release": pods, "service": {"stt", "classification"}, "client": {"other"}}
    expected["namespace"] = {seen.release.space.name}
    for _, name, query in dashboards.variables():
        assert set(seen.prometheus.label_values(filled_in(query))) == expected[name]


def test_every_rule_and_alert_is_evaluated(seen: Seen) -> None:
    rules = seen.prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}
    recorded = [rule["query"] for rule in rules if rule["type"] == "recording"]
    assert all(seen.prometheus.values(query) for query in recorded)
    links = {rule["annotations"]["runbook_url"] for rule in rules if rule["type"] == "alerting"}
    assert all(link.startswith("https://wiki.example/runbooks#earshot") for link in links)


def test_grafana_can_load_the_dashboards(seen: Seen) -> None:
    """Its sidecar takes what is in ConfigMaps with this label."""
    (config,) = seen.release.space.objects("configmaps", "--selector=grafana_dashboard=1")
    assert config["data"].keys() == {path.name for path in dashboards.FILES}
    for text in config["data"].values():
        content = json.loads(text)
        assert dashboards.accepted(content)
        assert "https://wiki.example/runbooks#" in text
