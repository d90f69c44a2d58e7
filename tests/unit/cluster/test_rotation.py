"""A new authority: whoever has which files by now, each side believes the other at every moment."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from earshot import errors
from earshot.cluster.release import Release
from earshot.cluster.rotation import HOSTS, names, rotate
from earshot.local.certificates import Signer
from tests.unit.cluster.api_server import Content
from tests.unit.cluster.objects import secret

ENVOY, SERVICES = HOSTS.values()
Pair = dict[str, dict[str, str]]


class _Secret:
    """Keeps all that it ever was."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.history = [{name: text.decode() for name, text in files.items()}]

    def load(self) -> dict[str, str]:
        return self.history[-1]

    def save(self, files: Mapping[str, str]) -> None:
        self.history.append(self.history[-1] | dict(files))


@pytest.fixture
def secrets() -> dict[str, _Secret]:
    old = Signer.new("old")
    return {host: _Secret(old.issue(host)) for host in HOSTS.values()}


def _believes(side: Mapping[str, str], other: Mapping[str, str]) -> bool:
    shown = x509.load_pem_x509_certificate(other["tls.crt"].encode())
    return any(_has_signed(one, shown) for one in x509.load_pem_x509_certificates(side["ca.crt"].encode()))


def _has_signed(authority: x509.Certificate, shown: x509.Certificate) -> bool:
    try:
        shown.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def test_nobody_is_ever_refused(secrets: dict[str, _Secret]) -> None:
    """A step is taken up by one pod sooner than by another."""
    told: list[str] = []
    rotate(secrets, Signer.new("new").issue, told.append)
    envoy, services = (secrets[host].history for host in (ENVOY, SERVICES))
    assert len(envoy) == len(services) == 4
    assert told == ["both authorities are believed", "the new certificates are shown"]
    for step in range(3):
        for one, other in itertools.product(envoy[step : step + 2], services[step : step + 2]):
            assert _believes(one, other)
            assert _believes(other, one)
    assert not _believes(services[-1], envoy[0]), "the old certificate still opens"


def test_begun_again_it_ends_well(secrets: dict[str, _Secret]) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            rotate(secrets, Signer.new("half").issue, stop)
    new = Signer.new("new")
    rotate(secrets, new.issue, lambda _: None)
    for kept in secrets.values():
        assert kept.load()["ca.crt"].encode() == new.pem()["ca.crt"]
    assert _believes(secrets[SERVICES].load(), secrets[ENVOY].load())


def test_the_secrets_are_those_that_the_chart_has_made(content: Content, release: Release) -> None:
    content.secrets = [secret("voice-tls-edge"), secret("voice-tls-envoy"), secret("voice-tls-services")]
    assert names(release) == {ENVOY: "voice-tls-envoy", SERVICES: "voice-tls-services"}
    assert "component=tls" in content.asked[-1].replace("%3D", "=")


def test_others_certificates_are_left_alone(content: Content, release: Release) -> None:
    content.secrets = [secret("voice-tls-edge")]
    with pytest.raises(errors.FailedPreconditionError, match="whoever makes them changes them"):
        names(release)
