"""Floods of frames, of streams and of metadata: Envoy ends them, and others are served."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import pytest

from tests.envoy import hostile
from tests.envoy.harness import Plane
from tests.envoy.hostile import STREAMING, UNARY, Attacker, attacker, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONGEST = 200_000  # frames of a flood: some hundred times what is allowed
AT_ONCE = 100


def _flood(one: Callable[[int], bytes], path: str = "") -> Callable[[int], str]:
    """Sends the same frame again and again, on a stream of ``path`` where one is given, and reads nothing."""

    def attack(port: int) -> str:
        with attacker(port) as made:
            stream = made.open(path) if path else 0
            sent = 0
            while sent < LONGEST and made.send(one(stream) * AT_ONCE):
                sent += AT_ONCE
            return made.ended(stream)

    return attack


def _resets(port: int) -> str:
    """Begins calls and drops them at once (CVE-2023-44487)."""
    with attacker(port) as made:
        for _ in range(LONGEST):
            made.http2.reset_stream(made.open(UNARY), 8)
            if not made.flush():
                break
        return made.ended(0)


def _unending_headers(port: int) -> str:
    """The head of a request that goes on and on (CVE-2024-27316)."""
    with attacker(port) as made:
        stream = made.open(UNARY, half=True)
        for number in range(LONGEST):
            more = _encoded(made, [(f"x-{number}", "y" * 8_000)])
            if not made.send(frame(hostile.CONTINUATION, more, stream)):
                break
        return made.ended(stream)


def _encoded(made: Attacker, headers: list[tuple[str, str]]) -> bytes:
    return bytes(made.http2.encoder.encode(headers))


def _metadata(count: int, size: int) -> Callable[[int], str]:
    """A call with so many headers of so many bytes; the compression of HTTP/2 makes them one byte each."""

    def attack(port: int) -> str:
        with attacker(port) as made:
            made.open(UNARY, more=[("x-big", "z" * size)])
            return made.ended(made.open(UNARY, more=[("x-big", "z" * size)] * count))

    return attack


FLOODS: dict[str, tuple[Callable[[int], str], str]] = {
    # What is sent, and Envoy's own word for why it ended: the counter that says so.
    "pings": (_flood(lambda _: frame(hostile.PING, bytes(8))), "http.edge.downstream_cx_destroy_local"),
    "settings": (_flood(lambda _: frame(hostile.SETTINGS)), "http.edge.downstream_cx_destroy_local"),
    "empty data": (
        _flood(lambda stream: frame(hostile.DATA, b"", stream), STREAMING),
        "http2.inbound_empty_frames_flood",
    ),
    "priorities": (
        _flood(lambda stream: frame(hostile.PRIORITY, bytes(5), stream), STREAMING),
        "http2.inbound_priority_frames_flood",
    ),
    "window updates": (
        _flood(lambda stream: frame(hostile.WINDOW_UPDATE, struct.pack(">I", 1), stream), STREAMING),
        "http2.inbound_window_update_frames_flood",
    ),
    "resets": (_resets, "http.edge.downstream_rq_too_many_premature_resets"),
    "unending headers": (_unending_headers, "http.edge.downstream_cx_destroy_local"),
    "one long header": (_metadata(1, 40_000), "http2.tx_reset"),
    "many headers": (_metadata(120, 1), "http2.tx_reset"),
    "headers that grow when unpacked": (_metadata(60, 3_000), "http2.tx_reset"),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_ends_and_others_are_served(standing: Plane, name: str) -> None:
    attack, counter = FLOODS[name]
    before = await standing.envoy.figure(counter)
    flooding = asyncio.create_task(asyncio.to_thread(attack, standing.envoy.port))
    assert await standing.recognize() in ("stt-1", "stt-2")
    ended = await flooding
    assert ended.startswith(("closed", "reset", "goaway", "status 431")), ended
    assert await standing.envoy.figure(counter) > before
    assert await standing.recognize() in ("stt-1", "stt-2")


async def test_one_connection_has_256_streams_and_no_more(standing: Plane) -> None:
    outcome = await asyncio.to_thread(_too_many, standing.envoy.port)
    assert outcome == (256, "closed")
    assert await standing.recognize() in ("stt-1", "stt-2")


def _too_many(port: int) -> tuple[int, str]:
    """The streams that are taken, and what comes of the connection that opens one more all the same."""
    with attacker(port) as made:
        while made.http2.remote_settings.max_concurrent_streams > 1_000:  # it has not said yet
            assert made.read()
        allowed = int(made.http2.remote_settings.max_concurrent_streams)
        stream = [made.open(STREAMING) for _ in range(allowed)][-1] + 2
        headers = _encoded(made, hostile.request(STREAMING))
        made.send(frame(hostile.HEADERS, headers, stream, hostile.END_HEADERS))
        made.until_closed()
        return allowed, "closed"
