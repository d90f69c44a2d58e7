"""From nothing to the first answer, and back to nothing."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earshot.client import Client, RetryPolicy
from tests.cluster.access import forwarded
from tests.cluster.conftest import IMAGE
from tests.cluster.kube import Namespace, Release, until

REPOSITORY = Path(__file__).resolve().parents[2]
CLIP = REPOSITORY / "services" / "earshot" / "local" / "samples" / "formal-review.wav"
SERVICES = {"earshot.v1.SpeechToText", "earshot.v1.ZeroShotClassifier"}


@pytest.fixture(scope="module")
def began() -> float:
    """When the first test began, before anything was installed."""
    return time.monotonic()


@pytest.fixture(scope="module")
def defaults(space: Namespace, began: float) -> Iterator[Release]:
    """The chart as it comes."""
    release = Release(space, IMAGE, {})
    release.install()
    yield release
    release.uninstall()
    assert space.leftovers() == set()


@pytest.fixture(scope="module")
def target(defaults: Release) -> Iterator[str]:
    """Where it can be reached from here."""
    with forwarded(defaults) as address:
        yield address


def test_from_install_to_the_first_answer(began: float, target: str, figure: Callable[[str], None]) -> None:
    with Client(target, retry=RetryPolicy(max_attempts=1)) as client:
        assert "review" in client.recognize(CLIP).text
    took = time.monotonic() - began
    figure(f"{took:.1f} s")
    assert took < 60


def _grpcurl(target: str, *args: str, request: object = None) -> str:
    data = ["-d", "@"] if request is not None else []
    command = ["grpcurl", "-plaintext", *data, target, *args]
    run = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_grpcurl_finds_the_services(target: str) -> None:
    assert set(_grpcurl(target, "list").split()) >= SERVICES
    assert "rpc Recognize (" in _grpcurl(target, "describe", "earshot.v1.SpeechToText")


def test_grpcurl_calls_with_a_real_clip(target: str) -> None:
    clip = base64.b64encode(CLIP.read_bytes()).decode()
    config = {"candidate_labels": ["administration", "cooking", "sport"]}
    heard = json.loads(_grpcurl(target, "earshot.v1.SpeechToText/Recognize", request={"content": clip}))
    assert "frequent formal review of" in heard["results"][0]["alternatives"][0]["transcript"]
    request: dict[str, object] = {"inputs": [{"text": "chop the onions and fry them"}], "config": config}
    scored = json.loads(_grpcurl(target, "earshot.v1.ZeroShotClassifier/Classify", request=request))
    assert scored["results"][0]["labels"][0]["label"] == "cooking"
    request = {"classification_config": config, "content": clip}
    both = json.loads(_grpcurl(target, "earshot.v1.ZeroShotClassifier/ClassifySpeech", request=request))
    assert both["classification"]["labels"][0]["label"] == "administration"


def test_helm_test(defaults: Release) -> None:
    printed = defaults.test()
    for _ in range(3):  # where nodes share a machine, each kubelet clears up the logs of the other's pods
        if "/var/log/pods/" not in printed:
            break
        printed = defaults.test()
    assert "frequent formal review of" in printed
    assert '"label": "administration"' in printed


def test_every_pod_is_as_it_should_be(defaults: Release) -> None:
    for component in ("stt", "classification", "envoy"):
        until(lambda component=component: defaults.settled(component, 2), 60, f"two pods of {component}")
