"""Who gets in, on the cluster: by key, token and certificate, and past Envoy not at all."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot.client import Client
from earshot.local.access import Tokens
from tests.cluster.access import forwarded
from tests.cluster.conftest import IMAGE, SMALL
from tests.cluster.kube import Document, Namespace, Release, namespace, until
from tests.envoy.callers import AUDIENCE, ISSUER, Caller, Registry
from tests.envoy.door import METHODS, RIGHT, SPEECH, UNKNOWN, ZERO_SHOT, outcome

CLIP = (
    Path(__file__).resolve().parents[2] / "services" / "earshot" / "local" / "samples" / "formal-review.wav"
)
CLIENTS = {"alice": ["*"], "bob": [f"{SPEECH}/ListModels"]}
SECRET = "earshot-api-keys"
KEYS = [sys.executable, "-m", "earshot.cli", "keys"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """Beside the release that all others share."""
    with namespace(f"earshot-closed-{int(time.time())}") as made:
        yield made


@pytest.fixture(scope="module")
def closed(space: Namespace, registry: Registry) -> Iterator[Release]:
    """The chart with every question asked."""
    callers = ("create", "secret", "generic", "callers", f"--from-file=ca.crt={registry.folder / 'ca.crt'}")
    space.kubectl(*callers)
    tokens = Tokens(ISSUER, (AUDIENCE,), jwks_file="jwks.json")
    asked: Document = {
        "apiKeys": {"enabled": True},
        "tokens": {
            "enabled": True,
            "issuer": tokens.issuer,
            "audiences": list(tokens.audiences),
            "jwks": (registry.folder / "jwks.json").read_text(encoding="utf-8"),
        },
        "certificates": {"enabled": True, "secret": "callers"},
        "clients": CLIENTS,
    }
    values: Document = SMALL | {"auth": asked, "tls": {"edge": {"enabled": True}}}
    release = Release(space, IMAGE, values | {"rates": {"all": {"perSecond": 500, "burst": 500}}})
    release.install()
    yield release
    release.uninstall()
    space.kubectl("delete", "secret", "callers")
    assert space.leftovers() == set()


@pytest.fixture(scope="module")
def target(closed: Release) -> Iterator[str]:
    with forwarded(closed) as address:
        yield address


@pytest.fixture(scope="module")
def trusted(closed: Release, registry: Registry) -> Path:
    """By what callers know Envoy."""
    file = registry.folder / "edge-ca.crt"
    file.write_bytes(_of_secret(closed, "earshot-tls-edge", "ca.crt"))
    return file


def _of_secret(release: Release, name: str, key: str) -> bytes:
    (found,) = [each for each in release.space.objects("secrets") if each["metadata"]["name"] == name]
    return base64.b64decode(found["data"][key])


def _keys(release: Release, *arguments: str) -> str:
    command = [*KEYS, *arguments, "--secret", SECRET, "--namespace", release.space.name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def callers(closed: Release, registry: Registry, target: str, trusted: Path) -> dict[str, Caller]:
    revoked = Caller({"x-api-key": _keys(closed, "new", "carol")})
    right = Caller({"x-api-key": _keys(closed, "new", "alice")})
    few = Caller({"x-api-key": _keys(closed, "new", "bob")})
    # The kubelet writes a changed Secret within a minute or so.
    until(lambda: _first(target, trusted, few) == "OK", 180, "the keys have reached Envoy")
    _keys(closed, "revoke", "carol")
    until(lambda: _first(target, trusted, revoked) == "UNAUTHENTICATED", 180, "a key is revoked")
    stranger = Registry(registry.folder / "stranger")
    return {
        "no proof": Caller(),
        "a forged name": Caller({"x-earshot-client": "alice"}),
        "a wrong key": Caller({"x-api-key": "earshot_wrong"}),
        "a revoked key": revoked,
        "an expired token": registry.token("alice", exp=1_000_000_000),
        "a token for others": registry.token("alice", aud="elsewhere"),
        "a token that others signed": stranger.token("alice"),
        "the right key": right,
        "the right token": registry.token("alice"),
        "the right certificate": registry.certificate("alice"),
        "a wrong certificate": stranger.certificate("alice"),
        "bob": few,
    }


def _first(target: str, trusted: Path, caller: Caller) -> str:
    with caller.blocking(target, trusted) as channel:
        return outcome(channel, caller, f"{SPEECH}/ListModels")[0]


def test_the_matrix(
    callers: dict[str, Caller], target: str, trusted: Path, figure: Callable[[str], None]
) -> None:
    seen = {name: _codes(caller, target, trusted) for name, caller in callers.items()}
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


def test_a_clip_is_heard_and_labelled(callers: dict[str, Caller], target: str, trusted: Path) -> None:
    """By both services, which know each other by their certificates."""
    key = callers["the right key"].headers["x-api-key"]
    credentials = grpc.ssl_channel_credentials(trusted.read_bytes())
    with Client(target, api_key=key, credentials=credentials) as client:
        answer = client.classify_speech(CLIP, ["administration", "sport", "cooking"])
    assert answer.classification.best is not None
    assert answer.classification.best.label == "administration"


@pytest.mark.parametrize("component", ["stt", "classification"])
def test_past_envoy_nobody_gets_in(closed: Release, component: str) -> None:
    """Neither in plain text, nor by TLS without a certificate of ours."""
    method = f"{SPEECH if component == 'stt' else ZERO_SHOT}/ListModels"
    authority = _of_secret(closed, "earshot-tls-services", "ca.crt")
    key, certificate = (_of_secret(closed, "earshot-tls-envoy", f"tls.{end}") for end in ("key", "crt"))
    shown = grpc.ssl_channel_credentials(authority, key, certificate)
    for pod in closed.pods(component):
        address = f"{pod['status']['podIP']}:50051"
        assert _past(grpc.insecure_channel(address), method) == "UNAVAILABLE"
        assert _past(_secure(address, grpc.ssl_channel_credentials(authority)), method) == "UNAVAILABLE"
        assert _past(_secure(address, shown), method) == "OK"
        with contextlib.closing(grpc.insecure_channel(f"{pod['status']['podIP']}:50052")) as plain:
            assert outcome(plain, Caller(), method)[0] == "UNIMPLEMENTED"


def _secure(address: str, credentials: grpc.ChannelCredentials) -> grpc.Channel:
    options: Any = (("grpc.ssl_target_name_override", "services.earshot.internal"),)
    return grpc.secure_channel(address, credentials, options)


def _past(channel: grpc.Channel, method: str) -> str:
    with channel:
        return outcome(channel, Caller(), method)[0]


def test_an_upgrade_keeps_keys_and_certificates(closed: Release, callers: dict[str, Caller]) -> None:
    names = ("earshot-tls-edge", "earshot-tls-envoy", "earshot-tls-services")
    before = [_of_secret(closed, name, "tls.key") for name in names]
    closed.upgrade({"envoy": {"maxConnections": 4000}})
    assert [_of_secret(closed, name, "tls.key") for name in names] == before
    assert "alice" in _keys(closed, "list")
    assert callers
