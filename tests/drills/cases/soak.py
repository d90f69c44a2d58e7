"""A long time of everything at once."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from earshot.client import AsyncClient
from earshot.load.work import Answer, Work
from tests.drills.calls import calling, known, phrases
from tests.drills.drill import Drill, Form, Result
from tests.drills.speech import Recording, words_of
from tests.drills.stack import Stack
from tests.drills.streams import World, machine

_EVERY: Final = 5.0  # seconds between looks
_GROWN: Final = 0.05  # of a process's memory, from the first third to the last: within its noise
_LEAST: Final = 6.0  # MiB, below which it is noise in any case


@dataclass(frozen=True)
class _Look:
    """A process at a moment."""

    at: float  # seconds
    memory: float  # MiB, resident
    descriptors: int
    threads: int


async def _run(world: World, form: Form) -> Result:
    result, stack = Result(), world.stack
    works = [*await known(stack.target), *map(_asked, phrases(1.5, 2)), *map(_streamed, phrases(4.0, 2))]
    before = _left_behind(stack)
    async with calling(stack.target, works, callers=4) as load:
        seen = await _watched(stack, 60 * form.minutes)
    load.judge(result)
    result.counts |= {"minutes": form.minutes, "processes": len(seen)}
    for name, looks in seen.items():
        _judge(name, looks, result)
    await asyncio.sleep(1)
    left = _left_behind(stack) - before
    result.counts["files left behind"] = len(left)
    result.must(not left, f"left behind: {', '.join(map(str, sorted(left)[:5]))}")
    return result


def _asked(recording: Recording) -> Work:
    """Speech to labels: whether its words were heard on the way."""

    async def send(client: AsyncClient) -> Answer:
        scored = await client.classify_speech(
            recording.samples, ["numbers", "weather"], encoding="linear16", sample_rate=16_000
        )
        return Answer(words_of(scored.text) == recording.words, 1)

    return Work("classify-speech", "clips", send)


def _streamed(recording: Recording) -> Work:
    """A short live stream: whether it was complete, with as many words as were spoken."""

    async def send(client: AsyncClient) -> Answer:
        opened = client.stream(recording.samples, encoding="linear16", sample_rate=16_000)
        async with opened as events:
            async for _ in events:
                pass
            summary = events.result.summary
            words = words_of(events.result.text)
            return Answer(bool(summary and summary.complete) and len(words) == len(recording.words), 1)

    return Work("stream", "streams", send)


async def _watched(stack: Stack, seconds: float) -> dict[str, list[_Look]]:
    """Looks at each process of the stack, by its name and number, for so long."""
    seen: dict[str, list[_Look]] = defaultdict(list)
    begun = time.monotonic()
    while (at := time.monotonic() - begun) < seconds:
        for name, look in await asyncio.to_thread(lambda now: list(_looks(stack, now)), at):
            seen[name].append(look)
        await asyncio.sleep(_EVERY)
    return seen


def _looks(stack: Stack, at: float) -> Iterator[tuple[str, _Look]]:
    root = psutil.Process(stack.process.pid)
    for process in [root, *root.children(recursive=True)]:
        try:
            memory, count = process.memory_info().rss / 2**20, process.num_threads()
            look = _Look(at, memory, process.num_fds(), count)
            yield f"{_kind(process)} {process.pid}", look
        except psutil.Error:
            continue


def _kind(process: psutil.Process) -> str:
    words = process.cmdline()
    return Path(words[0]).name if "worker" not in " ".join(words) else words[-1]


def _judge(name: str, looks: list[_Look], result: Result) -> None:
    """The last third against the second: by the first it has warmed up."""
    third = len(looks) // 3
    middle, last = looks[third : 2 * third], looks[2 * third :]
    if third < 3:
        return
    grown = statistics.median(one.memory for one in last) - statistics.median(one.memory for one in middle)
    hours, memory = zip(*((one.at / 3600, one.memory) for one in looks[third:]), strict=True)
    slope, _ = statistics.linear_regression(hours, memory)
    _keep_most(result, "MiB an hour, the steepest", slope)
    allowed = max(_LEAST, _GROWN * looks[third].memory)
    result.must(grown <= allowed, f"{name} grew by {grown:.1f} MiB")
    for what in ("descriptors", "threads"):
        was, now = (statistics.median(getattr(one, what) for one in part) for part in (middle, last))
        _keep_most(result, f"{what} more, the most", now - was)
        result.must(now - was <= 2, f"{name} has {now - was:.0f} {what} more")


def _keep_most(result: Result, what: str, value: float) -> None:
    most = result.counts.get(what)
    result.counts[what] = max(float(value), float(most) if isinstance(most, float) else float(value))


def _left_behind(stack: Stack) -> set[Path]:
    """What lies where temporary things lie."""
    return {*stack.temporary.rglob("*"), *Path("/dev/shm").glob("*earshot*")}


DRILL = Drill(
    "soak",
    "calls, streams and speech to labels, all at once, for as long as --minutes says",
    "no call fails; memory does not grow, and nothing is left open or behind",
    machine,
    _run,
    short=False,
    lasting=True,
)
