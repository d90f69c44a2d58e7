"""A replica may start neither thread nor process."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.drills.calls import calling, known
from tests.drills.cramped import cramped, few_processes
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack, workers


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    front = (await stack.serving())[0]["pid"]
    async with calling(stack.target, works) as load:
        with few_processes(front):
            os.kill(workers(front)["engine"], signal.SIGKILL)
            await asyncio.sleep(4 if form.short else 30)
        await stack.settled()
    result.must(any(one["pid"] == front for one in await stack.serving()), "the replica died of it")
    load.judge(result)
    return result


DRILL = Drill(
    "no_threads",
    "a replica that can start no thread and no process (cgroup of pids), its engine killed",
    "no call fails; it lives, and serves again when it can",
    cramped,
    _run,
)
