"""A replica may start neither thread nor process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from typing import Final

from earshot.client import AsyncClient, EarshotError
from earshot.load.work import Work
from earshot.rpc.status import code_of
from tests.drills.calls import ONCE, calling, known
from tests.drills.cramped import cramped, few_processes
from tests.drills.drill import Drill, Form, Result
from tests.drills.living import judge, living
from tests.drills.stack import Stack, workers

_CLEAR: Final = "UNAVAILABLE OUT_OF_RESOURCES"


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    before, row = await living(stack), (await stack.serving())[0]
    async with (
        calling(stack.target, works) as load,
        AsyncClient(f"127.0.0.1:{row['port']}", retry=ONCE) as direct,
    ):
        await works[0].send(direct)  # connected, before that can take a thread
        with few_processes(row["pid"]):
            os.kill(workers(row["pid"])["engine"], signal.SIGKILL)
            said = await _said(direct, works[0], time.monotonic() + (4 if form.short else 30))
        await stack.settled()
        await works[0].send(direct)
    judge(before, await living(stack), result)
    load.judge(result)
    result.counts["calls to it alone, refused"] = said[_CLEAR]
    result.must(said.keys() == {_CLEAR}, f"the replica itself said {', '.join(sorted(said)) or 'nothing'}")
    return result


async def _said(direct: AsyncClient, work: Work, until: float) -> Counter[str]:
    said: Counter[str] = Counter()
    while time.monotonic() < until:
        try:
            await work.send(direct)
            said["an answer"] += 1
        except EarshotError as error:
            said[f"{code_of(error).name} {error.reason}"] += 1
        await asyncio.sleep(0.02)
    return said


DRILL = Drill(
    "no_threads",
    "a replica that can start no thread and no process (cgroup of pids), its engine killed, asked directly",
    "it says UNAVAILABLE and what it lacks, lives, serves again when it can; no call through Envoy fails",
    cramped,
    _run,
)
