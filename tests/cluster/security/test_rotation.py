"""Keys and certificates are changed under load, and no call fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from cryptography import x509

from earshot.client import AsyncClient, EarshotError, RetryPolicy
from tests.cluster.kube import until
from tests.cluster.security.conftest import Closed
from tests.cluster.security.test_matrix import past, secure
from tests.envoy.callers import Caller
from tests.envoy.door import ZERO_SHOT

Figure = Callable[[str], None]
STAYING, COMING, PAUSE_SECONDS = 4, 4, 0.2
CALLERS = STAYING + COMING
BACKEND = "classification"
ROTATE = [sys.executable, "-m", "earshot.cli", "cluster", "rotate", "--pause", "45"]
HAND_OVER_SECONDS = 5
INTERNAL = ("earshot-tls-envoy", "earshot-tls-services")


@dataclass
class Load:
    """Callers who keep a connection, and callers who make one for each call; they try nothing again."""

    closed: Closed
    key: str
    address: str
    over: threading.Event = field(default_factory=threading.Event)
    answered: Counter[str] = field(default_factory=Counter)  # by key
    replicas: Counter[str] = field(default_factory=Counter)  # that answered
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        staying = [self._stay() for _ in range(STAYING)]
        coming = [self._come() for _ in range(COMING)]
        await asyncio.gather(*staying, *coming)

    async def _stay(self) -> None:
        while not self.over.is_set():
            key = self.key
            async with self._client(key) as client:
                while key == self.key and not self.over.is_set():
                    await self._call(client, key)

    async def _come(self) -> None:
        while not self.over.is_set():
            key = self.key
            async with self._client(key) as client:
                await self._call(client, key)

    async def _call(self, client: AsyncClient, key: str) -> None:
        try:
            answer = await client.classify("my card is stuck", ["card not returned", "weather"])
            self.answered[key] += 1
            self.replicas[answer.replica] += 1
        except EarshotError as error:
            self.failed.append(f"{type(error).__name__}: {error}")
        await asyncio.sleep(PAUSE_SECONDS)

    def _client(self, key: str) -> AsyncClient:
        return AsyncClient(
            self.address,
            api_key=key,
            credentials=self.closed.credentials,
            server_name="localhost",
            retry=RetryPolicy(max_attempts=1),
        )

    def figures(self) -> str:
        return f"{self.answered.total()} calls, {len(self.failed)} failed"


@contextlib.contextmanager
def calling(closed: Closed, key: str) -> Iterator[Load]:
    """Calls for so long."""
    load = Load(closed, key, closed.address)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        until(lambda: load.answered[key] > CALLERS, 60, "calls are answered")
        yield load
    finally:
        load.over.set()
        thread.join()


@pytest.fixture
def key(callers: dict[str, Caller]) -> str:
    """Alice's."""
    return callers["the right key"].headers["x-api-key"]


def _serial(address: str) -> int:
    """Of the certificate that Envoy shows to callers who come now."""
    host, _, port = address.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        context.wrap_socket(plain) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def test_a_new_certificate_for_callers(closed: Closed, key: str, figure: Figure) -> None:
    """As cert-manager renews it."""
    pods = [f"{pod['status']['podIP']}:8080" for pod in closed.release.pods("envoy")]
    with calling(closed, key) as load:
        closed.certify()
        new = x509.load_pem_x509_certificate(closed.of_secret("earshot-tls-edge", "tls.crt")).serial_number
        closed.hand_over()
        until(lambda: all(_serial(pod) == new for pod in pods), 180, "all Envoys show it")
        before = load.answered.total()
        until(lambda: load.answered.total() > before + 5 * CALLERS, 60, "calls since")
    figure(load.figures())
    assert load.failed == []


def test_a_new_authority_between_envoy_and_the_pods(closed: Closed, key: str, figure: Figure) -> None:
    """By ``earshot cluster rotate``; then a pod that knows no other authority gets calls."""
    before, old = closed.of_secret(INTERNAL[1], "ca.crt"), closed.release.names(BACKEND)[0]
    with calling(closed, key) as load:
        command = [*ROTATE, "--namespace", closed.space.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as rotating:
            while rotating.poll() is None:
                closed.hand_over()
                time.sleep(HAND_OVER_SECONDS)
        assert rotating.returncode == 0
        assert before not in closed.of_secret(INTERNAL[1], "ca.crt")
        until(lambda: _all_know(closed), 180, "all pods have the new certificates")
        closed.space.kubectl("delete", "pod", old, "--wait=true")
        until(lambda: closed.release.settled(BACKEND, 2), 120, "two pods")
        new = closed.release.names(BACKEND)[-1]
        until(lambda: load.replicas[new], 120, "the new pod answers")
    closed.release.upgrade()
    assert before not in closed.of_secret(INTERNAL[1], "ca.crt"), "the upgrade took it back"
    figure(load.figures())
    assert load.failed == []


def _all_know(closed: Closed) -> bool:
    """Whether a certificate of the new authority opens every pod."""
    authority = closed.of_secret(INTERNAL[1], "ca.crt")
    shown = [closed.of_secret(INTERNAL[0], f"tls.{end}") for end in ("key", "crt")]
    credentials = grpc.ssl_channel_credentials(authority, *shown)
    addresses = [f"{pod['status']['podIP']}:50051" for pod in closed.release.pods(BACKEND)]
    return all(past(secure(address, credentials), f"{ZERO_SHOT}/ListModels") == "OK" for address in addresses)


def test_a_new_key_in_place_of_the_old_one(closed: Closed, key: str, figure: Figure) -> None:
    """Made, taken up by all callers, and only then the old one revoked."""
    (old,) = [line.split()[0] for line in closed.keys("list").splitlines() if "alice" in line]
    with calling(closed, key) as load:
        new = Caller({"x-api-key": closed.keys("new", "alice")})
        closed.hand_over()
        until(lambda: closed.answers(new) == {"OK"}, 180, "the new key has reached both Envoys")
        load.key = new.headers["x-api-key"]
        until(lambda: load.answered[load.key] > 5 * CALLERS, 60, "all call with the new key")
        closed.keys("revoke", old)
        closed.hand_over()
        gone = Caller({"x-api-key": key})
        until(lambda: closed.answers(gone) == {"UNAUTHENTICATED"}, 180, "the old key is good no more")
    figure(load.figures())
    assert load.failed == []
