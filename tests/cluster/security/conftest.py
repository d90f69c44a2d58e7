"""A release that asks everyone who is calling, beside the one that all others share.

Its certificate for callers is one of cert-manager's, whose part is ours: we write the Secret that it would.
Keys of tokens come from an issuer in the cluster, and quotas are counted in a Redis there.
"""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot.local.certificates import Signer
from tests.cluster.access import forwarded
from tests.cluster.conftest import IMAGE, SMALL
from tests.cluster.kube import Document, Namespace, Release, kubectl, namespace, until
from tests.cluster.servers import issuer, redis, secret, write_secret
from tests.envoy.callers import AUDIENCE, ISSUER, Caller, Registry
from tests.envoy.door import SPEECH, outcome
from tests.lacking import lacking

CLIENTS = {"alice": ["*"], "bob": [f"{SPEECH}/ListModels"], "dave": ["*"]}
KEYS, EDGE, TEST_KEY = "earshot-api-keys", "earshot-tls-edge", "helm-test-key"
_AS_LOCALHOST: Any = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))
QUOTA_SECONDS = 30.75  # of dave's month: twenty clips of a second and a half, and half of one


@dataclass(frozen=True)
class Closed:
    """The release, and all that is known of it."""

    release: Release
    registry: Registry
    signer: Signer  # of its certificate for callers
    trusted: Path  # by what callers know it

    @property
    def space(self) -> Namespace:
        return self.release.space

    @property
    def address(self) -> str:
        """The Service itself, as it is reached on a node; its certificate is made out to ``localhost``."""
        found = self.space.kubectl(
            "get", "service", self.release.service, "--output=jsonpath={.spec.clusterIP}"
        )
        return f"{found}:80"

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """Of a caller without a certificate."""
        return grpc.ssl_channel_credentials(self.trusted.read_bytes())

    def certify(self) -> None:
        """A new certificate for callers, of the same authority."""
        service = f"earshot.{self.space.name}.svc.cluster.local"
        write_secret(self.space, EDGE, self.signer.issue(service, "localhost", "127.0.0.1"))

    def keys(self, *arguments: str) -> str:
        """What ``earshot keys`` prints."""
        command = [sys.executable, "-m", "earshot.cli", "keys", *arguments]
        command += ["--secret", KEYS, "--namespace", self.space.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def of_secret(self, name: str, key: str) -> bytes:
        """A file of a Secret."""
        (found,) = [each for each in self.space.objects("secrets") if each["metadata"]["name"] == name]
        return base64.b64decode(found["data"][key])

    def answers(self, caller: Caller) -> set[str]:
        """What a call comes to, at each Envoy that there is."""
        return {self._answer(pod, caller) for pod in self.release.pods("envoy")}

    def _answer(self, pod: Document, caller: Caller) -> str:
        channel = grpc.secure_channel(f"{pod['status']['podIP']}:8080", self.credentials, _AS_LOCALHOST)
        with channel:
            return outcome(channel, caller, f"{SPEECH}/ListModels")[0]

    def hand_over(self) -> None:
        """Has the kubelets look at once at the Secrets of all pods, which they do each minute or so."""
        now = f"looked-at={time.monotonic_ns()}"
        self.space.kubectl("annotate", "pods", "--all", "--overwrite", now)


@pytest.fixture(scope="package")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="package")
def space() -> Iterator[Namespace]:
    with namespace(f"earshot-closed-{int(time.time())}") as made:
        yield made


@pytest.fixture(scope="package")
def closed(space: Namespace, registry: Registry) -> Iterator[Closed]:
    """The chart with every question asked."""
    if "certificates.cert-manager.io" not in kubectl("get", "customresourcedefinitions", "--output=name"):
        lacking("the cluster does not know certificates of cert-manager: `cluster crds`")
    with contextlib.ExitStack() as stack:
        jwks = (registry.folder / "jwks.json").read_bytes()
        url, authority = stack.enter_context(issuer(space, IMAGE, jwks))
        store = stack.enter_context(redis(space))
        callers = {"ca.crt": (registry.folder / "ca.crt").read_bytes()}
        stack.enter_context(secret(space, "callers", callers))
        signer = Signer.new("edge")
        (registry.folder / "edge-ca.crt").write_bytes(signer.pem()["ca.crt"])
        release = Release(space, IMAGE, _values(url, authority, store))
        made = Closed(release, registry, signer, registry.folder / "edge-ca.crt")
        stack.enter_context(secret(space, EDGE, {}))
        made.certify()
        release.install()
        yield made
        release.uninstall()
    assert space.leftovers() == set()


def _values(url: str, authority: str, store: str) -> Document:
    tokens = {
        "enabled": True,
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "jwksUrl": url,
        "jwksCaSecret": authority,
    }
    asked: Document = {
        "apiKeys": {"enabled": True},
        "tokens": tokens,
        "certificates": {"enabled": True, "secret": "callers"},
        "clients": CLIENTS,
    }
    edge = {"enabled": True, "certManager": {"enabled": True, "issuerRef": {"name": "ours"}}}
    limits = {"dave": {"audioSecondsPerMonth": QUOTA_SECONDS}}
    quotas = {"limits": limits, "redis": {"secret": store, "seconds": 10}}  # a busy machine may take its time
    return SMALL | {
        "stt": SMALL["stt"] | {"replicas": 3},
        "auth": asked,
        "tls": {"edge": edge},
        "rates": {"all": {"perSecond": 500, "burst": 500}},
        "quotas": quotas,
        "helmTest": {"apiKeySecret": TEST_KEY, "caSecret": EDGE},
    }


@pytest.fixture(scope="module")
def target(closed: Closed) -> Iterator[str]:
    with forwarded(closed.release) as address:
        yield address


@pytest.fixture(scope="package")
def callers(closed: Closed) -> dict[str, Caller]:
    """Everyone who may come, with proofs of every kind."""
    registry = closed.registry
    revoked, right, few = (
        Caller({"x-api-key": closed.keys("new", name)}) for name in ("carol", "alice", "bob")
    )
    closed.hand_over()
    until(lambda: closed.answers(few) == {"OK"}, 180, "the keys have reached Envoy")
    closed.keys("revoke", "carol")
    closed.hand_over()
    until(lambda: closed.answers(revoked) == {"UNAUTHENTICATED"}, 180, "a key is revoked")
    until(lambda: closed.answers(registry.token("alice")) == {"OK"}, 60, "Envoy has the issuer's keys")
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
