"""Fair shares of the workers between clients: whose work is next.

Start-time fair queueing (Goyal, Vin and Cheng 1996, "Start-time fair queueing"): each line has a clock of
the work that it has had, and the line whose clock is least is served next. Who comes back after a while
starts at the clock of who is being served, so that nobody saves up a right to everything. What work costs
is known only afterwards: it is charged at an estimate, and put right once it is done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from earshot.runtime.labels import Line

Job = TypeVar("Job")


class _Share(Generic[Job]):
    """What a client has had and waits for; or a group of clients, whose lines are its parts."""

    def __init__(self) -> None:
        self.used = 0.0  # seconds of work, by its group's clock
        self.clock = 0.0  # of its parts: where the one served last stood
        self.waiting = 0
        self.jobs: OrderedDict[Job, None] = OrderedDict()  # longest-waiting first
        self.parts: dict[str, _Share[Job]] = {}

    def part(self, name: str) -> _Share[Job]:
        return self.parts.setdefault(name, _Share())

    def next_part(self) -> _Share[Job]:
        """The part that has had least; of equals the one that asks for less."""
        asking = (part for part in self.parts.values() if part.waiting)
        return min(asking, key=lambda part: (part.used, part.waiting))


class FairLines(Generic[Job]):
    """Jobs in lines, one line for each client; as many lines are kept as there are names."""

    def __init__(self) -> None:
        self._all: _Share[Job] = _Share()

    def __len__(self) -> int:
        return self._all.waiting

    def put(self, job: Job, line: Line, *, first: bool = False) -> None:
        """At the end of its line; or ``first`` in it."""
        share = self._all
        share.waiting += 1
        for name in line:
            group, share = share, share.part(name)
            if not share.waiting:
                share.used = max(share.used, group.clock)
            share.waiting += 1
        share.jobs[job] = None
        if first:
            share.jobs.move_to_end(job, last=False)

    def take(self) -> Job | None:
        """The next job; None: nothing waits."""
        share = self._all
        if not share.waiting:
            return None
        while True:
            share.waiting -= 1
            if share.jobs:
                return share.jobs.popitem(last=False)[0]
            group, share = share, share.next_part()
            group.clock = max(group.clock, share.used)

    def drop(self, job: Job, line: Line) -> None:
        """Nobody waits for ``job`` any more; it may have been taken."""
        if job in self._leaf(line).jobs:
            del self._leaf(line).jobs[job]
            for share in (self._all, *self._path(line)):
                share.waiting -= 1

    def charge(self, line: Line, seconds: float) -> None:
        """So much work has been done for ``line``; less than nothing: it was charged too much."""
        for share in self._path(line):
            share.used += seconds

    def _path(self, line: Line) -> Iterator[_Share[Job]]:
        share = self._all
        for name in line:
            share = share.part(name)
            yield share

    def _leaf(self, line: Line) -> _Share[Job]:
        *_, leaf = self._path(line)
        return leaf
