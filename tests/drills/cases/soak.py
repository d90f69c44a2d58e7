"""A long time of everything at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from earshot.client import AsyncClient
from earshot.load.work import Answer, Work
from tests.drills.calls import Load, calling, known, phrases, same, sure
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.leaks import at_rest, judge_logs, judge_memory, judge_processes, judge_rest, told
from tests.drills.speech import DIGITS, Recording, difference, recordings, stream, stream_by
from tests.drills.stack import Stack
from tests.drills.streams import World, labelled, machine
from tests.drills.watch import Moment, Watch, must_be_root

# Of the time: until then pools and caches fill up. The bills of ten minutes are remembered, and the allocator
# finds places to use again only when those have begun to be forgotten.
_WARMING: Final = 1 / 2
_LEAST: Final = 3  # minutes
_EVERY: Final = 5.0  # seconds between looks
_RESTING: Final = 20.0  # seconds without a call, of which the least counts
_CALLERS: Final = 4
_PAUSE: Final = 0.5  # seconds: as many calls in each minute, or what is remembered of them would be a slope
_SPOKEN: Final = 180.0  # seconds of a recording
_LONGEST: Final = 360.0  # seconds of a stream at the pace of speech
_CODECS: Final = (None, "opus:24k")  # of those streams
_RIGHT: Final = 0.95  # of the words of a stream, where nothing else is to be done


@dataclass(frozen=True)
class _Works:
    """What is asked for."""

    calls: list[Work]
    streams: list[Work]  # at the pace of speech
    seconds: float  # that one of these takes


async def _run(world: World, form: Form) -> Result:
    must_be_root()
    if form.minutes < _LEAST:
        raise CannotError(f"of less than {_LEAST} minutes a soak says nothing")
    result, stack, watch = Result(), world.stack, Watch(world.stack)
    warming = 60 * form.minutes * _WARMING - _RESTING
    serving = 60 * form.minutes * (1 - _WARMING) - _RESTING
    works = await _works(stack.target, warming)
    async with _under_way(stack, works, warming) as first:
        await asyncio.sleep(warming)
    before = at_rest(await _watched(watch, _RESTING, 1))
    async with _under_way(stack, works, serving) as second:
        moments = await _watched(watch, serving, _EVERY)
    after = at_rest(await _watched(watch, _RESTING, 1))
    _judge_calls([*first, *second], result)
    result.counts["minutes"] = form.minutes
    judge_processes(before, moments, after, result)
    judge_memory(moments, result)
    judge_rest(before, after, result)
    judge_logs(before, after, sum(load.tally.done for load in second), result)
    result.details["processes"] = told(before, moments, after)
    return result


async def _works(target: str, seconds: float) -> _Works:
    calls = [
        *await known(target),
        *await sure(target, [_streamed(labelled(one, number)) for number, one in enumerate(phrases(4.0, 4))]),
    ]
    spoken = _long(min(seconds / 2, _LONGEST))
    streams = [await _paced(target, one, codec) for one, codec in zip(spoken, _CODECS, strict=True)]
    return _Works(calls, streams, max(len(one.samples) for one in spoken) / 32_000)


def _streamed(recording: Recording) -> Work:
    """A short live stream, as fast as it goes: whether it was complete, and its words were heard."""

    async def send(client: AsyncClient) -> Answer:
        heard = await stream_by(client, recording, 0, None)
        if heard.error:
            raise heard.error
        right = heard.complete and heard.is_labelled_rightly
        return Answer(right and same(heard.words, recording.words), 1)

    return Work("stream", "streams", send)


def _long(seconds: float) -> list[Recording]:
    """Two recordings, each again and again for about so long."""
    spoken = recordings(DIGITS, min(seconds, _SPOKEN))[-len(_CODECS) :]
    times = max(1, round(seconds / _SPOKEN))
    return [Recording(one.name, one.samples * times, one.words * times, []) for one in spoken]


async def _paced(target: str, recording: Recording, codec: str | None) -> Work:
    """A live stream at the pace of speech, on a connection of its own: whether it was complete, and is heard
    as where nothing else is to be done. Raises RuntimeError where most is not heard even then.
    """
    alone = await stream(target, recording, 0, codec)
    found = difference([recording.words], [alone.words])
    wrong = found.lost + found.doubled + found.changed
    if not alone.complete or wrong > (1 - _RIGHT) * len(recording.words):
        raise RuntimeError(f"a stream of {recording.name} is not heard with nothing broken: {found}")

    async def send(_: AsyncClient) -> Answer:
        heard = await stream(target, recording, 1.0, codec)
        if heard.error:
            raise heard.error
        return Answer(heard.complete and same(heard.words, alone.words), 1)

    return Work("stream at the pace of speech", "streams", send)


@asynccontextmanager
async def _under_way(stack: Stack, works: _Works, seconds: float) -> AsyncIterator[list[Load]]:
    """Calls, and beside them always a few long streams, of which none is begun that would not end in time."""
    async with (
        calling(stack.target, works.streams, callers=len(works.streams)) as streams,
        calling(stack.target, works.calls, callers=_CALLERS, pause=_PAUSE) as calls,
    ):
        last = asyncio.get_running_loop().call_later(seconds - works.seconds, _stop, streams)
        try:
            yield [streams, calls]
        finally:
            last.cancel()


def _stop(load: Load) -> None:
    load.stopping = True


async def _watched(watch: Watch, seconds: float, pause: float) -> list[Moment]:
    """All moments of so long."""
    moments = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(pause)
        moments.append(await asyncio.to_thread(watch.look))
    return moments


def _judge_calls(loads: Iterable[Load], result: Result) -> None:
    """Of all together."""
    counted: Counter[str] = Counter()
    for load in loads:
        own = Result()
        load.judge(own)
        counted.update({what: int(count) for what, count in own.counts.items()})
        result.broken += own.broken
    result.counts |= counted


DRILL = Drill(
    "soak",
    "calls, short and long streams and speech to labels, all at once, for as long as --minutes says",
    "no call fails, no answer is wrong; no process comes or goes, none grows by more than 2 MiB an hour for "
    "sure (99 %) in the second half; at rest no descriptor, thread, shared memory or file more than before",
    machine,
    _run,
    short=False,
    lasting=True,
)
