"""Who gets in, on the cluster: by key, token and certificate, and past Envoy not at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot.cli.errors import ExitCode
from earshot.client import Client
from earshot.local.ports import free_ports
from tests.cluster.security.conftest import TEST_KEY, Closed
from tests.cluster.servers import secret
from tests.envoy.callers import Caller
from tests.envoy.door import METHODS, RIGHT, SPEECH, UNKNOWN, ZERO_SHOT, outcome

CLIP = (
    Path(__file__).resolve().parents[3] / "services" / "earshot" / "local" / "samples" / "formal-review.wav"
)


def test_the_matrix(
    closed: Closed, callers: dict[str, Caller], target: str, figure: Callable[[str], None]
) -> None:
    seen = {name: _codes(caller, target, closed.trusted) for name, caller in callers.items()}
    for name in RIGHT:
        # What is asked is no clip and no text: who gets in is told so by the service.
        assert not set(seen[name].values()) & {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNAVAILABLE"}, name
    for name in callers.keys() & set(UNKNOWN):
        assert set(seen[name].values()) == {"UNAUTHENTICATED"}, name
    assert set(seen["a wrong certificate"].values()) == {"UNAVAILABLE"}
    allowed = seen["bob"].pop(f"{SPEECH}/ListModels")
    assert (allowed, set(seen["bob"].values())) == ("OK", {"PERMISSION_DENIED"})
    figure(f"{len(seen)} callers by {len(METHODS)} methods")


def _codes(caller: Caller, target: str, trusted: Path) -> dict[str, str]:
    with caller.blocking(target, trusted) as channel:
        return {method: outcome(channel, caller, method)[0] for method in METHODS}


def test_a_clip_is_heard_and_labelled(closed: Closed, callers: dict[str, Caller], target: str) -> None:
    """By both services, which know each other by their certificates."""
    key = callers["the right key"].headers["x-api-key"]
    with Client(target, api_key=key, credentials=closed.credentials) as client:
        answer = client.classify_speech(CLIP, ["administration", "sport", "cooking"])
    assert answer.classification.best is not None
    assert answer.classification.best.label == "administration"


@pytest.mark.parametrize("component", ["stt", "classification"])
def test_past_envoy_nobody_gets_in(closed: Closed, component: str) -> None:
    """Neither in plain text, nor by TLS without a certificate of ours."""
    method = f"{SPEECH if component == 'stt' else ZERO_SHOT}/ListModels"
    authority = closed.of_secret("earshot-tls-services", "ca.crt")
    key, certificate = (closed.of_secret("earshot-tls-envoy", f"tls.{end}") for end in ("key", "crt"))
    shown = grpc.ssl_channel_credentials(authority, key, certificate)
    for pod in closed.release.pods(component):
        address = f"{pod['status']['podIP']}:50051"
        assert past(grpc.insecure_channel(address), method) == "UNAVAILABLE"
        assert past(secure(address, grpc.ssl_channel_credentials(authority)), method) == "UNAVAILABLE"
        assert past(secure(address, shown), method) == "OK"
        with contextlib.closing(grpc.insecure_channel(f"{pod['status']['podIP']}:50052")) as plain:
            assert outcome(plain, Caller(), method)[0] == "UNIMPLEMENTED"


def secure(address: str, credentials: grpc.ChannelCredentials) -> grpc.Channel:
    """A connection to a pod, past Envoy."""
    options: Any = (("grpc.ssl_target_name_override", "services.earshot.internal"),)
    return grpc.secure_channel(address, credentials, options)


def past(channel: grpc.Channel, method: str) -> str:
    """What a call by it comes to."""
    with channel:
        return outcome(channel, Caller(), method)[0]


def test_helm_test_calls_with_a_key(closed: Closed, callers: dict[str, Caller]) -> None:
    """That of a Secret, over TLS."""
    key = callers["the right key"].headers["x-api-key"]
    with secret(closed.space, TEST_KEY, {"api-key": key.encode()}):
        printed = closed.release.test()
    assert "frequent formal review of" in printed
    assert '"label": "administration"' in printed
    assert key not in printed


def test_forward_tries_the_key_that_it_is_given(closed: Closed, callers: dict[str, Caller]) -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "earshot.cli", "cluster", "forward", "--port", str(port)]
    command += ["--namespace", closed.space.name, "--ca", str(closed.trusted)]
    wrong = _environment(callers["a wrong key"])
    refused = subprocess.run(command, env=wrong, capture_output=True, text=True, check=False, timeout=120)
    assert (refused.returncode, refused.stdout) == (ExitCode.REFUSED, "")
    right = _environment(callers["the right key"])
    with subprocess.Popen(command, env=right, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"ready on 127.0.0.1:{port}")
        finally:
            process.terminate()


def _environment(caller: Caller) -> dict[str, str]:
    return os.environ | {"EARSHOT_API_KEY": caller.headers["x-api-key"]}


def test_an_upgrade_keeps_keys_and_certificates(closed: Closed, callers: dict[str, Caller]) -> None:
    names = ("earshot-tls-edge", "earshot-tls-envoy", "earshot-tls-services")
    before = [closed.of_secret(name, "tls.key") for name in names]
    closed.release.upgrade({"envoy": {"maxConnections": 4000}})
    assert [closed.of_secret(name, "tls.key") for name in names] == before
    assert "alice" in closed.keys("list")
    assert callers
