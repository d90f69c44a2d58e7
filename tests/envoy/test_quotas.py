"""Three services behind a real Envoy share one quota in a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import speech_pb2, usage_pb2, usage_pb2_grpc
from earshot.local.ports import free_ports
from earshot.local.processes import Child
from earshot.local.replicas import STT
from earshot.rpc.status import from_rpc_error
from tests.envoy.harness import Backend, Plane, until, until_open
from tests.redis_server import RedisServer
from tests.rpc import clips

METERED = Path(__file__).with_name("metered.py")
CLIP = clips.wav(0.5)
CALLERS, CALLS = 50, 2


async def metered(
    plane: Plane, server: RedisServer, name: str, model: str = "fake", **quota: float
) -> Backend:
    """A real service with a fake engine; anyone may use so much."""
    port, metrics_port = free_ports(2)
    environment = {
        "EARSHOT_PORT": str(port),
        "EARSHOT_METRICS_PORT": str(metrics_port),
        "EARSHOT_REPLICA": name,
        "EARSHOT_QUEUE": "1000",
        "EARSHOT_DRAIN_SECONDS": "0",
        "EARSHOT_QUOTA_REDIS_URL": server.url,
        "EARSHOT_QUOTA_REDIS_SECONDS": "30",  # a machine under load may take its time
        "EARSHOT_QUOTAS": json.dumps({"*": quota}),
    }
    command = (sys.executable, str(METERED), model)
    child = await Child.start(command, os.environ | environment, plane.state.logs / f"{name}.log")
    plane.cleanup.push_async_callback(child.stop, 5.0)
    await until_open(port)
    return Backend(name, port, child)


def used(server: RedisServer) -> int:
    """Milliseconds of audio in this month, by whatever name the edge gives to a caller."""
    with server.client() as redis:
        return sum(int(redis.get(key) or 0) for key in redis.keys("earshot:used:*:audio_seconds:month:*"))


async def recognize(plane: Plane, request_id: str = "") -> errors.EarshotError | str:
    """The replica that answered, or why none did."""
    metadata = (("x-request-id", request_id),) if request_id else ()
    request = speech_pb2.RecognizeRequest(content=CLIP)
    try:
        answer = await plane.speech.Recognize(request, timeout=150, metadata=metadata)
    except grpc.aio.AioRpcError as exc:
        return from_rpc_error(exc)
    return str(answer.metadata.replica)


@pytest.mark.timeout(180)
async def test_fifty_callers_of_three_services_share_one_quota(
    plane: Plane, redis_server: RedisServer
) -> None:
    quota = {"audio_seconds_per_month": 20.25}  # forty clips, and half of one
    names = ("stt-1", "stt-2", "stt-3")
    backends = await asyncio.gather(*(metered(plane, redis_server, name, **quota) for name in names))
    await plane.list(STT, *backends)

    async def caller() -> list[errors.EarshotError | str]:
        return [await recognize(plane) for _ in range(CALLS)]

    said = [one for mine in await asyncio.gather(*(caller() for _ in range(CALLERS))) for one in mine]
    answered = [one for one in said if isinstance(one, str)]
    refused = [one for one in said if isinstance(one, errors.QuotaExceededError)]
    assert (len(answered), len(refused)) == (40, CALLERS * CALLS - 40)
    assert set(answered) == set(names), "all of them have worked"
    assert used(redis_server) == 20_000
    assert all(one.quota and one.quota.limit == 20.25 for one in refused)
    assert await plane.envoy.figure("cluster.speech_to_text.upstream_rq_retry") == 0
    asked = usage_pb2_grpc.UsageStub(plane.channel).GetUsage  # type: ignore[no-untyped-call]
    usage = await asked(usage_pb2.GetUsageRequest(), timeout=150)
    assert (usage.total.calls, usage.total.audio_duration.ToMilliseconds()) == (40, 20_000)
    (quota_state,) = usage.quotas
    assert (quota_state.quota, quota_state.used) == ("audio_seconds_per_month", 20.0)
    status, _, body = await plane.http("GET", "/v1/usage?client=somebody-else")
    assert (status, json.loads(body)["code"]) == (403, 7)
    status, _, body = await plane.http("GET", "/v1/usage")
    assert (status, json.loads(body)["total"]["calls"]) == (200, "40")


async def test_a_call_whose_replica_is_killed_is_charged_once(
    plane: Plane, redis_server: RedisServer
) -> None:
    first = await metered(plane, redis_server, "stt-1", "stuck", audio_seconds_per_month=100)
    second = await metered(plane, redis_server, "stt-2", audio_seconds_per_month=100)
    await plane.list(STT, first, second)
    await plane.list(STT, first)
    calling = asyncio.ensure_future(recognize(plane, "one-call"))

    async def is_charged() -> bool:
        return await asyncio.to_thread(used, redis_server) == 500

    await until(is_charged)
    await plane.list(STT, first, second)
    first.child.kill()
    assert await calling == "stt-2"
    assert used(redis_server) == 500
    with redis_server.client() as redis:
        (usage,) = (redis.hgetall(key) for key in redis.keys("earshot:usage:*"))
    assert sum(int(count) for name, count in usage.items() if name.startswith("calls:")) == 1
