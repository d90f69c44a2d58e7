"""The disk of the state folder is full: logs, Envoy's configuration, the lists of replicas."""

from __future__ import annotations

import asyncio
import signal

from tests.drills.calls import calling, known
from tests.drills.cramped import cramped, filled
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    async with calling(stack.target, works) as load:
        with filled(stack.state):
            await asyncio.sleep(3)
            stack.kill_envoy()
            await asyncio.sleep(3)
            await stack.signal_replica(0, signal.SIGKILL)
            await asyncio.sleep(5 if form.short else 20)
        await stack.settled()
    load.judge(result)
    return result


DRILL = Drill(
    "disk_full",
    "no byte left on the disk of the state folder, and Envoy and a replica killed meanwhile",
    "no call fails; all serve again when there is room",
    cramped,
    _run,
)
