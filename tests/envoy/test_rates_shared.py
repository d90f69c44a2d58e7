"""Several Envoys share a rate: each takes its part of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.local import endpoints
from earshot.local.access import Access, Rate, Rates
from earshot.local.dataplane import ENVOYS, SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER, Security
from earshot.local.envoy import Envoy
from earshot.local.ports import free_ports
from earshot.local.replicas import STT
from earshot.local.state import StateFolder
from tests.envoy.harness import CHANNEL, PATIENCE, plane, until

# A token a second of all: a test that takes some seconds sees a few more calls pass, and never all of them.
BURST, MANY = 30, 60
SHARED = Rates(client=Rate(1, BURST))


async def _started(folder: Path, port: int, ports: list[int], replica: int, cleanup: AsyncExitStack) -> Envoy:
    """An Envoy as those of a cluster are: it knows all of them, and has the same replica behind it."""
    state = StateFolder(folder)
    cleanup.enter_context(state.hold())
    for cluster, members in {SPEECH_TO_TEXT: [replica], ZERO_SHOT_CLASSIFIER: [], ENVOYS: ports}.items():
        endpoints.publish(state.endpoints, cluster, members)
    envoy = Envoy(state, port, Security(Access(rates=SHARED), conditions={"several": ""}))
    cleanup.push_async_callback(envoy.stop)
    await envoy.start()
    await until(lambda: _sees(envoy, replica, len(ports)))
    return envoy


async def _sees(envoy: Envoy, replica: int, peers: int) -> bool:
    """Whether it knows its replica as healthy, and so many Envoys."""
    health = await envoy.health()
    members = await envoy.figure(f"cluster.{ENVOYS}.membership_total")
    return health.get(replica) == "healthy" and members == peers


async def _passed(envoy: Envoy) -> int:
    """How many of a burst are answered."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{envoy.port}", options=CHANNEL) as channel:
        list_models = speech_pb2_grpc.SpeechToTextStub(channel).ListModels  # type: ignore[no-untyped-call]
        request = speech_pb2.SpeechToTextListModelsRequest()
        calls = [list_models(request, timeout=PATIENCE) for _ in range(MANY)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert {one.code() for one in refused} <= {grpc.StatusCode.RESOURCE_EXHAUSTED}
    return MANY - len(refused)


@pytest.mark.parametrize("number", [1, 3])
async def test_a_rate_is_of_all_envoys_together(scratch: Path, number: int) -> None:
    async with plane(scratch / "first") as first, AsyncExitStack() as cleanup:
        backend, ports = await first.start(STT, "stt-1"), free_ports(number)
        envoys = [await _started(scratch / str(port), port, ports, backend.port, cleanup) for port in ports]
        passed = [await _passed(envoy) for envoy in envoys]
    for one in passed:
        assert BURST // number <= one < (MANY if number == 1 else BURST), passed
