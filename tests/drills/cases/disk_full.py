"""A disk is full, of logs, Envoy's configuration, the lists of replicas, and of temporary files."""

from __future__ import annotations

import asyncio
import signal

from tests.drills.calls import calling, known
from tests.drills.cramped import cramped, filled
from tests.drills.drill import Drill, Form, Result
from tests.drills.living import judge, living
from tests.drills.stack import Stack


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    before, killed = await living(stack), (await stack.serving())[0]
    async with calling(stack.target, works) as load:
        with filled(stack.state):
            await asyncio.sleep(3)
            stack.kill_envoy()
            await asyncio.sleep(3)
            await stack.signal_replica(0, signal.SIGKILL)
            await asyncio.sleep(5 if form.short else 20)
            full = await living(stack)
        await stack.settled()
    after = await living(stack)
    judge(before, after, result, but=("Envoy", killed["name"]))
    result.must(full["Envoy"] and full["Envoy"] == after["Envoy"], "Envoy did not live on the full disk")
    load.judge(result)
    return result


DRILL = Drill(
    "disk_full",
    "no byte left on the disk of the state folder and of temporary files, and Envoy and a replica killed "
    "meanwhile",
    "no call fails; nothing else dies; all serve again when there is room",
    cramped,
    _run,
)
