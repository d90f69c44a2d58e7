"""Requests, and stretches of live streams, that kill, or lock up, whatever works on them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from earshot import errors
from earshot.client import AsyncClient, Encoding
from tests.drills.beside import streaming
from tests.drills.calls import LABELS, Load, calling, known, phrases
from tests.drills.drill import Drill, Form, Result
from tests.drills.faulty.faults import CRASH, LOCK, WORDS, clip
from tests.drills.faulty.scene import faulty
from tests.drills.figures import total
from tests.drills.living import judge, living
from tests.drills.speech import Recording, stream
from tests.drills.stack import Stack

_TRIES: Final = 2  # workers that one of them may cost
_CALLERS: Final = 3  # of poison, at once
# Seconds without any answer to the good ones: in as many two locked workers have been noticed, and replaced.
_SILENT: Final = 20.0
_NUMBERS: Final = itertools.count()
_Send = Callable[[AsyncClient], Awaitable[object]]


@dataclass(frozen=True)
class _Poison:
    """A way to send some."""

    service: str  # whose workers it kills,
    pool: str  # and which
    send: _Send


def _clip(value: int) -> _Poison:
    return _Poison(
        "stt",
        "engines",
        lambda client: client.recognize(clip(value), encoding=Encoding.LINEAR16, sample_rate=16_000),
    )


def _speech_to_labels(value: int) -> _Poison:
    return _Poison(
        "stt",
        "engines",
        lambda client: client.classify_speech(
            clip(value), LABELS, encoding=Encoding.LINEAR16, sample_rate=16_000
        ),
    )


def _text(value: int) -> _Poison:
    """Another each time, whatever is remembered."""
    word = next(word for word, stands_for in WORDS.items() if stands_for == value)
    return _Poison(
        "classification", "engines", lambda client: client.classify(f"{word} {next(_NUMBERS)}", LABELS)
    )


def _stretch(target: str, value: int) -> _Poison:
    """Speech, and then what kills its listener."""

    async def send(_: AsyncClient) -> None:
        spoken = phrases(3.0, 1)[0].samples
        whole = spoken[: len(spoken) // 3_200 * 3_200] + clip(value, 0.3)
        heard = await stream(target, Recording("poison", whole, [], []), 0, None)
        if heard.error:
            raise heard.error

    return _Poison("stt", "listener-0", send)


def _of_a_caller(number: int, target: str, form: Form) -> list[_Poison]:
    """What that caller sends, one after the other: all begin elsewhere."""
    crashing = [_clip(CRASH), _text(CRASH), _stretch(target, CRASH), _speech_to_labels(CRASH)]
    locking = [_clip(LOCK), _text(LOCK), _stretch(target, LOCK)]
    ways = [*crashing[:3], locking[number % 3]] if form.short else 2 * (crashing + locking)
    return ways[number:] + ways[:number]


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    alive, before = await living(stack), await _restarts(stack)
    poisons = [_of_a_caller(number, stack.target, form) for number in range(_CALLERS)]
    async with (
        streaming(stack.target, 2) as streams,
        calling(stack.target, works, callers=8) as load,
        _watched(load) as gap,
        AsyncClient(stack.target) as client,
    ):
        await asyncio.gather(*(_sent(client, each, result) for each in poisons))
        silent = gap.longest
    await stack.settled()
    lost = {place: now - before[place] for place, now in (await _restarts(stack)).items()}
    judge(alive, await living(stack), result)
    load.judge(result)
    streams.judge(result)
    _judge(lost, list(itertools.chain(*poisons)), result)
    result.counts["s the longest without an answer to good calls"] = silent
    if not form.short:
        result.must(silent <= _SILENT, f"no good call was answered for {silent:.1f} s")
    return result


async def _sent(client: AsyncClient, poisons: Sequence[_Poison], result: Result) -> None:
    for poison in poisons:
        await _one(client, poison, result)


async def _one(client: AsyncClient, poison: _Poison, result: Result) -> None:
    what = f"poison for {poison.pool} of {poison.service}"
    try:
        await poison.send(client)
    except errors.InternalError as error:
        result.must(error.reason == "WORKER_DIED", f"{what} ended with the reason {error.reason}")
    except errors.EarshotError as error:
        result.must(holds=False, what=f"{what} ended as {type(error).__name__}: {error}")
    else:
        result.must(holds=False, what=f"{what} was answered")


def _judge(lost: dict[tuple[str, str], int], poisons: Sequence[_Poison], result: Result) -> None:
    """Each may cost two workers; two that come together, in one batch, the first of theirs together."""
    result.counts["poisoned calls and streams"] = len(poisons)
    for (service, pool), count in lost.items():
        sent = sum((one.service, one.pool) == (service, pool) for one in poisons)
        result.counts[f"{pool} of {service} lost to {sent} of them"] = count
        holds = sent < count <= _TRIES * sent
        result.must(holds, f"{count} {pool} of {service} lost to {sent}")


async def _restarts(stack: Stack) -> dict[tuple[str, str], int]:
    """Of workers, by service and pool, over all replicas; once each has its workers again."""
    await stack.settled()
    found = {}
    for service, pool in (("stt", "engines"), ("stt", "listener-0"), ("classification", "engines")):
        rows = await stack.replicas(service)
        while await total(rows, "earshot_workers_ready", pool=pool) < len(rows):
            await asyncio.sleep(0.3)
        found[service, pool] = int(await total(rows, "earshot_worker_restarts_total", pool=pool))
    return found


@dataclass
class _Gap:
    """Seconds for which no call was answered, the most."""

    longest: float = 0.0

    async def watch(self, load: Load) -> None:
        """For ever."""
        done, since = load.tally.done, time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            self.longest = max(self.longest, now - since)
            if load.tally.done != done:
                done, since = load.tally.done, now


@asynccontextmanager
async def _watched(load: Load) -> AsyncIterator[_Gap]:
    gap = _Gap()
    watching = asyncio.create_task(gap.watch(load))
    try:
        yield gap
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


DRILL = Drill(
    "poison",
    "requests of three kinds, and stretches of live streams, that crash a worker in native code or lock it "
    "up, from several callers at once and in a row, among good ones",
    "one clear error after the second try, and no third worker lost; no other call fails, no word is lost or "
    "doubled, and in no 20 s is nobody else answered",
    faulty,
    _run,
)
