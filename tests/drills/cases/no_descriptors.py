"""A replica has no file descriptors left."""

from __future__ import annotations

import itertools
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earshot import errors
from earshot.client import AsyncClient
from earshot.load.work import Work
from tests.drills.calls import ONCE, calling, known
from tests.drills.cramped import cramped
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    row = (await stack.serving())[0]
    async with (
        calling(stack.target, works) as load,
        AsyncClient(f"127.0.0.1:{row['port']}", retry=ONCE) as direct,
    ):
        await works[0].send(direct)  # connected, before there is no descriptor for that
        with _none_left(row["pid"]):
            await _refused(direct, works[0], 5 if form.short else 50, result)
        await works[0].send(direct)
    await stack.settled()
    result.must(any(one["pid"] == row["pid"] for one in await stack.serving()), "the replica died of it")
    load.judge(result)
    return result


async def _refused(direct: AsyncClient, work: Work, calls: int, result: Result) -> None:
    said = set()
    for _ in range(calls):
        with suppress(errors.UnavailableError):
            try:
                await work.send(direct)
                said.add("an answer")
            except errors.EarshotError as error:
                said.add(error.reason)
                raise
    result.counts["calls to it alone, refused"] = calls
    result.must(said == {"OUT_OF_RESOURCES"}, f"the replica itself said {', '.join(sorted(said))}")


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
    "a replica that can open no file and no connection more",
    "it says UNAVAILABLE and what it lacks, lives, and goes on when it can; no call through Envoy fails",
    cramped,
    _run,
)
