"""A replica has no file descriptors left."""

from __future__ import annotations

import itertools
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from earshot.client import AsyncClient
from earshot.load.work import Work
from tests.drills.calls import ONCE, calling, known
from tests.drills.cramped import cramped
from tests.drills.direct import ANSWERED, LACKING, OF, said
from tests.drills.drill import Drill, Form, Result
from tests.drills.living import judge, living
from tests.drills.stack import Stack

_KNOCKS: Final = 8  # connections to it that it cannot take


async def _run(stack: Stack, form: Form) -> Result:
    result, seconds = Result(), 3 if form.short else 30
    works = await known(stack.target)
    before = await living(stack)
    async with calling(stack.target, works) as load:
        for service, work in OF.items():
            counted = await _without((await stack.serving(service))[0], work, seconds)
            result.counts |= {
                f"calls to one of {service} alone: {what}": count for what, count in counted.items()
            }
            _judge(service, counted, result)
    await stack.settled()
    judge(before, await living(stack), result)
    load.judge(result)
    return result


def _judge(service: str, counted: Counter[str], result: Result) -> None:
    """Audio goes to a worker by a descriptor, and one may have been closed meanwhile; texts need none."""
    other = sorted(counted.keys() - {LACKING, ANSWERED})
    result.must(counted.total(), f"{service} was not called")
    result.must(not other, f"a replica of {service} said {', '.join(other)}")
    lacked = counted[LACKING] or service == "classification"
    result.must(lacked, f"a replica of {service} never lacked anything")


async def _without(row: dict[str, Any], work: Callable[[int], Work], seconds: float) -> Counter[str]:
    """What is said to calls on a connection that was there before. New ones must be taken afterwards."""
    target = f"127.0.0.1:{row['port']}"
    async with AsyncClient(target, retry=ONCE) as direct:
        await work(0).send(direct)
        with ExitStack() as knocks, _none_left(row["pid"]):
            for _ in range(_KNOCKS):
                knocks.enter_context(socket.create_connection(("127.0.0.1", row["port"])))
            counted = await said(direct, work, seconds)
        await work(0).send(direct)
    async with AsyncClient(target, retry=ONCE) as new:
        await work(0).send(new)
    return counted


@contextmanager
def _none_left(pid: int) -> Iterator[None]:
    """Those that are open stay so; no other can be opened."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    lowest = next(number for number in itertools.count() if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


DRILL = Drill(
    "no_descriptors",
    "a replica of each service that can open no file and no connection more, asked and connected to directly",
    "it answers, or says UNAVAILABLE and what it lacks; it lives, and takes connections again when it can; "
    "no call through Envoy fails",
    cramped,
    _run,
)
