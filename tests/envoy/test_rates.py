"""How often each may call, and all together, at the real Envoy."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
import pytest_asyncio

from earshot import errors
from earshot.client import AsyncClient, RetryPolicy
from earshot.gen.v1 import speech_pb2
from earshot.local.access import Access, Rate, Rates
from earshot.local.security import Protection
from earshot.rpc.status import from_rpc_error
from tests.envoy import harness
from tests.envoy.harness import PATIENCE, Plane

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A token a second: a test that takes some seconds sees a few more calls pass, and never all of them.
RATES = Rates(all=Rate(1, 40), client=Rate(1, 10), clients={"busy": Rate(1, 20)})
MANY = 60
TOO_OFTEN = "too many calls: come back in a second"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited() -> AsyncIterator[Plane]:
    """Callers are told apart by their addresses: all are one here."""
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        rates = Rates(client=Rate(1, 10))
        async with harness.full_plane(Path(folder), Protection(Access(rates=rates))) as made:
            yield made


async def _burst(plane: Plane, count: int = MANY) -> list[grpc.aio.AioRpcError]:
    """So many calls at once; the failures."""
    request = speech_pb2.SpeechToTextListModelsRequest()
    calls = [plane.speech.ListModels(request, timeout=PATIENCE) for _ in range(count)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]


async def test_who_calls_too_often_is_told_when_to_come_back(limited: Plane) -> None:
    refused = await _burst(limited)
    assert 0 < len(refused) <= MANY - 10
    assert {failure.code() for failure in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    error = from_rpc_error(refused[0])
    assert isinstance(error, errors.ResourceExhaustedError)
    assert (error.message, error.reason, error.retry_after) == (TOO_OFTEN, "RATE_LIMITED", 1.0)


async def test_headers_say_what_is_left(limited: Plane) -> None:
    await _burst(limited)
    call = limited.speech.ListModels(speech_pb2.SpeechToTextListModelsRequest(), timeout=PATIENCE)
    await asyncio.gather(call, return_exceptions=True)
    told = dict(await call.initial_metadata() or ()) | dict(await call.trailing_metadata() or ())
    assert told["x-ratelimit-limit"].startswith("10")
    assert 0 <= int(told["x-ratelimit-remaining"]) < 10
    assert int(told["x-ratelimit-reset"]) >= 0


async def test_json_is_told_the_same(limited: Plane) -> None:
    await _burst(limited)
    answers = await asyncio.gather(*(limited.http("GET", "/v1/models") for _ in range(MANY)))
    status, headers, body = next(answer for answer in answers if answer[0] != 200)
    problem = json.loads(body)
    assert (status, problem["code"], problem["message"]) == (429, 8, TOO_OFTEN)
    assert problem["details"][0]["retryDelay"] == "1s"
    assert headers["retry-after"] == "1"
    assert headers["x-ratelimit-limit"].startswith("10")


async def test_the_client_comes_back_when_it_is_told_to(limited: Plane) -> None:
    await _burst(limited)
    async with AsyncClient(limited.target, retry=RetryPolicy(max_attempts=20)) as client:
        answers = await asyncio.gather(*(client.classify("a", ["b"]) for _ in range(3)))
    assert len(answers) == 3


async def test_each_client_has_its_own(scratch: Path) -> None:
    from tests.envoy.callers import Registry, trusted  # noqa: PLC0415 - beside those without names

    registry = Registry(scratch / "known")
    async with harness.full_plane(scratch, registry.protection(rates=RATES)) as plane:
        passed: Counter[str] = Counter()
        for name in ("busy", "calm", "late"):
            caller = registry.token(name)
            async with caller.channel(plane.target, trusted(plane.state)) as channel:
                method = channel.unary_unary("/earshot.v1.SpeechToText/ListModels")
                calls = [method(b"", metadata=caller.metadata, timeout=PATIENCE) for _ in range(MANY)]
                answers = await asyncio.gather(*calls, return_exceptions=True)
                passed[name] = sum(isinstance(answer, bytes) for answer in answers)
    assert 20 <= passed["busy"] < MANY
    assert 10 <= passed["calm"] < passed["busy"]
    assert passed.total() < MANY + 20  # of all together
