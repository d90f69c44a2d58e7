"""Redis and Prometheus go, and come back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil

from earshot.client import AsyncClient
from earshot.local.ports import free_ports
from tests.drills.calls import Load, calling, known
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.figures import total
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running
from tests.redis_server import PROGRAM, RedisServer

_BACK: Final = 60.0  # seconds for Prometheus to be started again, and to have read all
_COUNTING: Final = 5.0  # seconds
_MOST: Final = 0.7  # of the calls made in that time
_QUOTAS = json.dumps({"*": {"audio_seconds_per_month": 10_000_000, "characters_per_month": 1_000_000_000}})


@dataclass(frozen=True)
class _World:
    stack: Stack
    redis: RedisServer


@asynccontextmanager
async def _scene(_: Form) -> AsyncIterator[_World]:
    if not PROGRAM or not shutil.which("prometheus"):
        raise CannotError("there is no redis-server or no prometheus on the PATH")
    (port,) = free_ports(1)
    with TemporaryDirectory(prefix="earshot-drill-") as folder, RedisServer(Path(folder)) as redis:
        setup = Setup(
            "faster-whisper",
            CHECKPOINT,
            environment={"EARSHOT_QUOTAS": _QUOTAS, "EARSHOT_QUOTA_REDIS_URL": redis.url},
            arguments=("--prometheus", "--prometheus-port", str(port)),
        )
        async with running(setup) as stack:
            yield _World(stack, redis)


async def _run(world: _World, form: Form) -> Result:
    result, stack, redis = Result(), world.stack, world.redis
    away, all_of_them = 3 if form.short else 30, stack.setup.stt + stack.setup.classification
    works = await known(stack.target)
    async with calling(stack.target, works) as load:
        await _read_since(stack, 0.0)  # which it had, before it died
        died = time.time()
        _kill_prometheus(stack, result)
        reading = asyncio.create_task(_read_again(stack, died, result))
        await asyncio.to_thread(redis.kill)
        await _until_up(stack, 0)
        await asyncio.sleep(away)
        await asyncio.to_thread(redis.start)
        await _until_up(stack, all_of_them)
        redis.freeze()
        await _until_up(stack, 0)
        await asyncio.sleep(away)
        redis.thaw()
        await _until_up(stack, all_of_them)
        result.counts["s until Prometheus had read all again"] = await reading
        await _counted(stack, load, result)
    load.judge(result)
    return result


async def _read_again(stack: Stack, died: float, result: Result) -> float:
    """Seconds from its death until Prometheus is there, and has read all of the stack."""
    try:
        async with asyncio.timeout(_BACK):
            await _read_since(stack, died)
    except TimeoutError:
        result.must(holds=False, what="Prometheus does not read all of the stack again")
    return time.time() - died


async def _read_since(stack: Stack, moment: float) -> None:
    """Until Prometheus has read every replica, and Envoy, later than ``moment``, by time.time."""
    wanted = 1 + stack.setup.stt + stack.setup.classification
    url = (await stack.status())["stack"]["prometheus"]
    while len(await asyncio.to_thread(_asked, url, moment)) < wanted:
        await asyncio.sleep(0.2)


def _asked(url: str, moment: float) -> list[object]:
    """The targets that were up at their latest reading, where that was after ``moment``."""
    query = urlencode({"query": f"(up == 1) and (timestamp(up) > {moment:.3f})"})
    try:
        with urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
            found: list[object] = json.load(answer)["data"]["result"]
            return found
    except (URLError, ConnectionError):
        return []


def _kill_prometheus(stack: Stack, result: Result) -> None:
    children = psutil.Process(stack.process.pid).children(recursive=True)
    found = [child.pid for child in children if child.name() == "prometheus"]
    result.must(found, "there was no Prometheus")
    for pid in found:
        os.kill(pid, signal.SIGKILL)


async def _counted(stack: Stack, load: Load, result: Result) -> None:
    """Of the calls of a while most must be counted: some are under way at its ends."""
    async with AsyncClient(stack.target) as client:
        before, done = (await client.usage()).total.calls, load.tally.done
        await asyncio.sleep(_COUNTING)
        made, counted = load.tally.done - done, (await client.usage()).total.calls - before
    result.counts["calls after that"], result.counts["of them counted"] = made, counted
    result.must(made and counted >= _MOST * made, f"of {made} calls only {counted} were counted")


async def _until_up(stack: Stack, count: int) -> None:
    """Until for so many replicas Redis is there."""
    while True:
        rows = [*await stack.replicas(), *await stack.replicas("classification")]
        if await total(rows, "earshot_quota_store_up") == count:
            return
        await asyncio.sleep(0.2)


DRILL = Drill(
    "stores_away",
    "Prometheus killed; Redis, which counts quotas, killed and started again, then frozen",
    "no call fails; quotas are counted again when it is back; Prometheus is started again, and reads all of "
    "the stack",
    _scene,
    _run,
)
