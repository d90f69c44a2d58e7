"""A replica has no file descriptors left."""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from earshot.client import AsyncClient, EarshotError
from earshot.load.work import Work
from tests.drills.calls import ONCE, calling, known, scoring
from tests.drills.cramped import cramped
from tests.drills.drill import Drill, Form, Result
from tests.drills.living import judge, living
from tests.drills.stack import Stack

_KNOCKS: Final = 8  # connections to it that it cannot take
_REFUSED: Final = "OUT_OF_RESOURCES"
_SERVICES: Final = {"stt": "recognize", "classification": "classify"}


async def _run(stack: Stack, form: Form) -> Result:
    result, seconds = Result(), 3 if form.short else 30
    works = await known(stack.target)
    before = await living(stack)
    async with calling(stack.target, works) as load:
        for service, kind in _SERVICES.items():
            work = next(work for work in works if work.kind == kind)
            said = await _without((await stack.serving(service))[0], work, seconds)
            result.counts |= {
                f"calls to one of {service} alone: {what}": count for what, count in said.items()
            }
            _judge(service, said, result)
    await stack.settled()
    judge(before, await living(stack), result)
    load.judge(result)
    return result


def _judge(service: str, said: Counter[str], result: Result) -> None:
    """Audio goes to a worker by a descriptor, and one may have been closed meanwhile; texts need none."""
    other = sorted(said.keys() - {_REFUSED, "answered"})
    result.must(said.total(), f"{service} was not called")
    result.must(not other, f"a replica of {service} said {', '.join(other)}")
    lacked = said[_REFUSED] or service == "classification"
    result.must(lacked, f"a replica of {service} never lacked anything")


async def _without(row: dict[str, Any], work: Work, seconds: float) -> Counter[str]:
    """What is said to calls on a connection that was there before. New ones must be taken afterwards."""
    target = f"127.0.0.1:{row['port']}"
    async with AsyncClient(target, retry=ONCE) as direct:
        await work.send(direct)
        with ExitStack() as knocks, _none_left(row["pid"]):
            for _ in range(_KNOCKS):
                knocks.enter_context(socket.create_connection(("127.0.0.1", row["port"])))
            said = await _said(direct, work, time.monotonic() + seconds)
        await work.send(direct)
    async with AsyncClient(target, retry=ONCE) as new:
        await work.send(new)
    return said


async def _said(direct: AsyncClient, work: Work, until: float) -> Counter[str]:
    said: Counter[str] = Counter()
    for number in itertools.count():
        if time.monotonic() >= until:
            break
        try:
            answer = await _another(work, number).send(direct)
            said["answered" if answer.said is True else f"wrongly answered: {answer.said}"] += 1
        except EarshotError as error:
            said[error.reason] += 1
        await asyncio.sleep(0.02)
    return said


def _another(work: Work, number: int) -> Work:
    """A text that was not seen before, which would be answered without any worker."""
    return (
        scoring(f"Snow and {number} degrees of frost are forecast.", "weather")
        if work.kind == "classify"
        else work
    )


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
