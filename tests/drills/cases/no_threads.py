"""A replica of each service may start neither thread nor process."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

from earshot.client import AsyncClient
from earshot.load.work import Work
from tests.drills.calls import ONCE, calling, known
from tests.drills.cramped import cramped, few_processes
from tests.drills.direct import LACKING, OF, said
from tests.drills.drill import Drill, Form, Result
from tests.drills.living import judge, living
from tests.drills.stack import Stack, workers


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works, before = await known(stack.target), await living(stack)
    async with calling(stack.target, works) as load:
        for service, work in OF.items():
            row = (await stack.serving(service))[0]
            counted = await _without(stack, row, work, 4 if form.short else 30)
            result.counts[f"calls to one of {service} alone, refused"] = counted[LACKING]
            others = sorted(counted.keys() - {LACKING})
            result.must(counted[LACKING], f"a replica of {service} lacked nothing")
            result.must(not others, f"a replica of {service} said {', '.join(others)}")
    judge(before, await living(stack), result)
    load.judge(result)
    return result


async def _without(
    stack: Stack, row: dict[str, Any], work: Callable[[int], Work], seconds: float
) -> Counter[str]:
    """What is said to calls while there is no engine and none can be started. It must be, afterwards."""
    async with AsyncClient(f"127.0.0.1:{row['port']}", retry=ONCE) as direct:
        await work(0).send(direct)  # connected, before that can take a thread
        with few_processes(row["pid"]):
            os.kill(workers(row["pid"])["engine"], signal.SIGKILL)
            counted = await said(direct, work, seconds)
        await stack.settled()
        await work(0).send(direct)
    return counted


DRILL = Drill(
    "no_threads",
    "a replica of each service that can start no thread and no process (cgroup of pids), its engine killed, "
    "asked directly",
    "it says UNAVAILABLE and what it lacks, lives, serves again when it can; no call through Envoy fails",
    cramped,
    _run,
)
