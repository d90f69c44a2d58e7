"""Pods come, go and die under load, and no caller notices; the client tries nothing again by itself."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.access import explained
from tests.cluster.kill import killer
from tests.cluster.kube import Document, Release, name_of, ready_at, restarts, until
from tests.cluster.traffic import STEADY, traffic

Figure = Callable[[str], None]
BACKENDS = ("stt", "classification")


@pytest.fixture(autouse=True)
def as_installed(release: Release) -> Iterator[None]:
    """Each test leaves the release as it was, whatever it made of it."""
    yield
    release.upgrade()
    for component in (*BACKENDS, "envoy"):
        _settle(release, component)


def _settle(release: Release, component: str, count: int = 2) -> float:
    return until(lambda: release.settled(component, count), 120, f"{count} pods of {component}")


def _scale(release: Release, component: str, count: int) -> None:
    release.upgrade({component: {"replicas": count}})


def test_a_new_pod_gets_calls_and_a_pod_that_is_gone_none(release: Release, figure: Figure) -> None:
    old = release.names("classification")
    with traffic(release, STEADY) as load:
        _scale(release, "classification", 3)
        (new,) = set(release.names("classification")) - set(old)
        until(lambda: load.answered_by(new), 10, "the new pod's first call")
        first = load.answered_by(new)[0].at - _ready(release, new)
        asked = time.time()
        release.space.kubectl("delete", "pod", new, "--wait=true")
        gone = time.time()
        time.sleep(3)
    last = load.answered_by(new)[-1].at
    figure(f"first call {first:+.1f} s after Ready, which Kubernetes knows to the second")
    figure(f"last call {last - asked:.1f} s after it was told to end; gone after {gone - asked:.1f} s")
    figure(load.summary())
    assert first <= 2 + 1
    assert last <= gone + 1
    assert load.failed() == []


def _ready(release: Release, name: str) -> float:
    (pod,) = [pod for pod in release.pods("classification") if name_of(pod) == name]
    return ready_at(pod)


def test_the_share_of_each_of_three_pods(release: Release, figure: Figure) -> None:
    """All pods as fast as each other: each has so much of a core, and no more."""
    resources = {"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}
    release.upgrade({"classification": {"replicas": 3, "resources": resources}})
    _settle(release, "classification", 3)
    with traffic(release, {"classify": {"workers": 12}}) as load:
        start = len(load.calls)
        until(lambda: len(load.calls) >= start + 1000, 200, "a thousand calls")
        calls = load.calls[start : start + 1000]
    shares = {name: count * 3 / 1000 for name, count in Counter(call.replica for call in calls).items()}
    figure(", ".join(f"{share:.3f}" for share in shares.values()))
    assert load.failed() == []
    assert len(shares) == 3
    assert all(0.95 <= share <= 1.05 for share in shares.values())


def test_an_upgrade_that_changes_a_setting(release: Release, figure: Figure) -> None:
    before = {component: set(release.names(component)) for component in (*BACKENDS, "envoy")}
    keys = _keys(release)
    changed = {component: {"settings": {"logLevel": "warning"}} for component in BACKENDS}
    with traffic(release, STEADY) as load:
        began = time.monotonic()
        release.upgrade(changed)
        for component in BACKENDS:
            _settle(release, component)
        figure(f"{time.monotonic() - began:.1f} s until the last old pod was gone")
    figure(load.summary())
    assert load.failed() == []
    assert _keys(release) == keys, "no stream can be taken up any more"
    assert set(release.names("envoy")) == before["envoy"], "restarted though nothing of it changed"
    assert not any(set(release.names(component)) & before[component] for component in BACKENDS)


def _keys(release: Release) -> str:
    secret = ("get", f"secret/{release.service}-resume-keys", "--output=jsonpath={.data.keys}")
    return release.space.kubectl(*secret)


def test_an_upgrade_that_changes_envoy(release: Release, figure: Figure) -> None:
    before = set(release.names("envoy"))
    with traffic(release, STEADY) as load:
        release.upgrade({"envoy": {"maxConnections": 4000}})
        _settle(release, "envoy")
    figure(load.summary())
    assert load.failed() == []
    assert not set(release.names("envoy")) & before


@pytest.mark.parametrize("component", [*BACKENDS, "envoy"])
def test_a_pod_is_deleted(release: Release, component: str, figure: Figure) -> None:
    with traffic(release, STEADY) as load:
        release.space.kubectl("delete", "pod", release.names(component)[0], "--wait=true")
        figure(f"two again after another {_settle(release, component):.1f} s")
        time.sleep(3)
    figure(load.summary())
    assert load.failed() == []


@pytest.mark.parametrize("component", BACKENDS)
def test_a_pod_is_killed(release: Release, component: str, figure: Figure) -> None:
    victim = release.pods(component)[0]
    with killer(release) as kill, traffic(release, STEADY) as load:
        kill(victim)
        until(lambda: sum(map(restarts, release.pods(component))) > restarts(victim), 60, "its restart")
        figure(f"ready again after another {_settle(release, component):.1f} s")
        time.sleep(3)
    figure(load.summary())
    assert load.failed() == []


def test_evictions_keep_to_the_budget(release: Release, figure: Figure) -> None:
    pods = release.names("classification")
    with traffic(release, STEADY) as load:
        _evict(release, pods[0])
        with pytest.raises(subprocess.CalledProcessError) as refused:
            _evict(release, pods[1])
        assert "disruption budget" in refused.value.stderr
        _settle(release, "classification")
        _evict(release, pods[1])
        _settle(release, "classification")
        time.sleep(3)
    figure(load.summary())
    assert load.failed() == []


def _evict(release: Release, pod: str) -> None:
    metadata = {"name": pod, "namespace": release.space.name}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{release.space.name}/pods/{pod}/eviction"
    release.space.kubectl("create", "--raw", path, "--filename", "-", text=json.dumps(eviction))


def test_an_image_that_cannot_start(release: Release, figure: Figure) -> None:
    _fails(release, {"image": {"tag": "none-such"}}, "none-such", figure)


def test_a_model_that_is_missing(release: Release, figure: Figure) -> None:
    stt = {"engine": "whisper", "model": "/models/none.pt"}
    line = _fails(release, {"stt": stt}, "last line of its log", figure)
    assert "finds no weights /models/none.pt" in line


def _fails(release: Release, changed: Document, words: str, figure: Figure) -> str:
    """An upgrade that cannot work leaves the old pods serving, and ``status`` says why, in this line."""
    old = set(release.names("stt"))
    with traffic(release, STEADY) as load:
        with pytest.raises(subprocess.CalledProcessError):
            release.upgrade(changed, timeout="10s")
        line = explained(release, words)
        assert old <= set(release.names("stt"))
    figure(line)
    figure(load.summary())
    assert load.failed() == []
    return line
