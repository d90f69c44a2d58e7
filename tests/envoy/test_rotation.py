"""Keys and certificates: they change while calls run, and nobody else can read them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import Counter

import pytest

from earshot.local.http import fetch
from earshot.local.keys import digest
from earshot.local.security import make_certificate
from tests.envoy.callers import Caller
from tests.envoy.door import RIGHT, SPEECH, Door, call, knows, shown
from tests.envoy.harness import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nothing_secret_can_be_read_by_others(door: Door) -> None:
    state = door.plane.state
    files = [file for folder in (state.keys, state.tls, state.secrets) for file in folder.rglob("*")]
    assert len([file for file in files if file.is_file()]) >= 8
    assert {file.name for file in files if file.is_file() and file.stat().st_mode & 0o077} == set()
    key = door.callers["the right key"].headers["x-api-key"]
    records = (state.keys / "keys.json").read_text(encoding="utf-8")
    assert "alice" in records
    assert key not in records


async def test_it_says_when_its_certificates_end(door: Door) -> None:
    """The alert that warns of it asks Envoy, which counts every few seconds: 397 days after they are made."""

    async def says() -> bool:
        figures = await fetch(door.plane.envoy.metrics_port, "/stats/prometheus")
        days = re.search(r"^envoy_server_days_until_first_cert_expiring\{\} (\d+)$", figures, re.MULTILINE)
        return days is not None and 390 < int(days[1]) <= 397

    await until(says)


async def test_a_key_holds_from_when_it_is_made_until_it_is_revoked(door: Door) -> None:
    """Without a restart, and while other calls run."""
    caller = door.registry.key(door.plane.state, "alice")
    async with door.channel(caller) as channel:

        async def answers(code: str) -> bool:
            return (await call(channel, caller, f"{SPEECH}/ListModels"))[0] == code

        await until(lambda: answers("OK"))
        door.registry.revoke(door.plane.state, digest(caller.headers["x-api-key"])[:8])
        await until(lambda: answers("UNAUTHENTICATED"))
    assert await knows(door, "the right key")
    assert door.plane.envoy.restarts == 0


async def test_nothing_fails_while_certificates_and_keys_change(door: Door) -> None:
    """Calls on connections that last, and on new ones."""
    done, codes = asyncio.Event(), list[str]()

    async def lasting(caller: Caller) -> None:
        async with door.channel(caller) as channel:
            while not done.is_set():
                codes.append((await call(channel, caller, f"{SPEECH}/ListModels"))[0])

    async def anew(caller: Caller) -> None:
        while not done.is_set():
            async with door.channel(caller) as channel:
                codes.append((await call(channel, caller, f"{SPEECH}/ListModels"))[0])

    callers = [door.callers[name] for name in RIGHT]
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(lasting(caller))
            group.create_task(anew(caller))
        for _ in range(10):
            await _rotate(door)
        done.set()
    assert Counter(codes) == {"OK": len(codes)}
    assert len(codes) >= 6


async def _rotate(door: Door) -> None:
    """The edge's certificate is another, seen from outside; a key comes and another goes."""
    state, port = door.plane.state, door.plane.envoy.port
    before = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    door.registry.key(state, "erin")
    make_certificate(state)
    door.registry.revoke(state, "erin")

    async def changed() -> bool:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) != before

    await until(changed)


async def test_old_tls_is_refused(door: Door) -> None:
    context = shown(door, door.callers["the right key"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM")
    assert await asyncio.to_thread(_handshake, door, context) == "TLSv1.2"
    context.set_ciphers("ECDHE+AES+SHA:@SECLEVEL=0")  # CBC
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(_handshake, door, context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(_handshake, door, context)


def _handshake(door: Door, context: ssl.SSLContext) -> str | None:
    address = ("127.0.0.1", door.plane.envoy.port)
    with (
        socket.create_connection(address, timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version()
