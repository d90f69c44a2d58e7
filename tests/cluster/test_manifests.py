"""Without Helm: ``kubectl apply -k`` of the example, as the docs have it, to an answered call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earshot.client import Client
from tests.cluster.access import forwarded
from tests.cluster.conftest import IMAGE
from tests.cluster.kube import Namespace, Release, kubectl
from tests.lacking import lacking

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "deploy" / "k8s" / "example"
CLIP = REPOSITORY / "services" / "earshot" / "local" / "samples" / "formal-review.wav"
NAMED = "localhost/earshot:dev"  # the image, in the example


@pytest.fixture
def applied() -> Iterator[Release]:
    """What the example makes, as a release to look at; it brings its namespace along."""
    if IMAGE != NAMED:
        lacking(f"the example names the image {NAMED}")
    if kubectl("get", "namespace", "earshot", "--ignore-not-found"):
        lacking("there is a namespace earshot already, and what is in it is not ours")
    kubectl("create", "namespace", "earshot")
    try:
        key = f"--from-literal=keys={secrets.token_hex(32)}"
        kubectl("--namespace", "earshot", "create", "secret", "generic", "earshot-resume-keys", key)
        kubectl("apply", "--kustomize", str(EXAMPLE))
        yield Release(Namespace("earshot"), IMAGE, {})
    finally:
        kubectl("delete", "--kustomize", str(EXAMPLE), "--wait=true", "--timeout=120s", "--ignore-not-found")


def test_kubectl_apply(applied: Release, figure: Callable[[str], None]) -> None:
    began = time.monotonic()
    for deployment in ("earshot-stt", "earshot-classification", "earshot-envoy"):
        applied.space.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=120s")
    with forwarded(applied) as target, Client(target) as client:
        assert "frequent formal review of" in client.recognize(CLIP).text
        assert client.classify("chop the onions and fry them", labels=["cooking", "sport"]).best
    figure(f"answered {time.monotonic() - began:.1f} s after it was applied")
