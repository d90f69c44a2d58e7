"""Runs in a pod: calls Earshot as told, and writes each call as a line of JSON to ``/calls/log``.

SIGUSR1 ends the calls: those under way are finished, and "done" is the last line. SIGTERM ends the process.
A file, as a pod's own log is not kept where nodes share a machine: each kubelet clears up the other's.

    load.py TARGET ATTEMPTS PLAN

PLAN is JSON: kind of call to {"rate": calls a second} or {"workers": how many go on one after
another}. With ATTEMPTS 1 the client tries nothing again: what fails in the cluster is seen.
"digits", "asked", "stream" and "scored" want raw samples (s16, 16 kHz, mono) in ``/spoken``; what is heard
is written too.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
import wave
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from earshot.client import AsyncClient, Classification, EarshotError, Reconnecting, RetryPolicy

LOG = Path("/calls/log")
SPOKEN = Path("/spoken")
CLIP = "/samples/formal-review.wav"
CLIP_SECONDS = 1.5
NUMBERS = "numbers"  # what digits are about
LABELS = (NUMBERS, "weather", "football")
CLASSIFY = ("my card is stuck in the machine", ["card not returned", "weather", "music"])
RAW: Any = {"encoding": "linear16", "sample_rate": 16_000, "channels": 1}
Fields = dict[str, object]
Call = Callable[[AsyncClient], Awaitable[Fields]]


def clip() -> tuple[bytes, int]:
    """The first words of a real recording, raw, and its rate in hertz."""
    with wave.open(CLIP) as reader:
        rate = reader.getframerate()
        return reader.readframes(int(rate * CLIP_SECONDS)), rate


SAMPLES, RATE = clip()


async def recognize(client: AsyncClient) -> Fields:
    """Gives the replica that answered."""
    answer = await client.recognize(SAMPLES, encoding="linear16", sample_rate=RATE, channels=1)
    return {"replica": answer.replica if "system" in answer.text else f"wrong words: {answer.text}"}


async def classify(client: AsyncClient) -> Fields:
    """Gives the replica that answered."""
    answer = await client.classify(*CLASSIFY)
    right = answer.best is not None and answer.best.label == CLASSIFY[1][0]
    return {"replica": answer.replica if right else f"wrong label: {answer.best}"}


async def models(client: AsyncClient) -> Fields:
    """Both services' ``ListModels``; they do not say which replica answers."""
    await client.list_models()
    return {}


async def digits(client: AsyncClient) -> Fields:
    """A clip of digits; gives what was heard."""
    answer = await client.recognize(samples("clip"), **RAW)
    return {"replica": answer.replica, "said": words(answer.text)}


async def asked(client: AsyncClient) -> Fields:
    """The same clip, and what it is about; gives the replica that scored it."""
    answer = await client.classify_speech(samples("clip"), LABELS, **RAW)
    scores = answer.classification
    return {"replica": scores.replica, "said": words(answer.text)} | wrongly(scores)


async def stream(client: AsyncClient, labels: Sequence[str] = ()) -> Fields:
    """Digits as fast as they are spoken; gives what was heard, and how often the connection broke."""
    opened = client.stream(samples("stream"), labels=labels, realtime=True, interim_results=False, **RAW)
    async with opened as events:
        breaks = sum([isinstance(event, Reconnecting) async for event in events])
        result = events.result
    if not (result.summary and result.summary.complete):
        return {"error": "the stream ended too early"}
    said = {"said": words(" ".join(one.text for one in result.segments)), "breaks": breaks}
    return said | (wrongly(result.conversation) if labels else {})


async def scored(client: AsyncClient) -> Fields:
    """The same stream, scored as the words come."""
    return await stream(client, LABELS)


def wrongly(found: Classification | None) -> Fields:
    """Of digits, where they are labelled as something else."""
    right = found is not None and found.best is not None and found.best.label == NUMBERS
    return {} if right else {"error": f"wrong label: {found and found.best}"}


@cache
def samples(name: str) -> bytes:
    """What is spoken."""
    return (SPOKEN / f"{name}.s16").read_bytes()


def words(text: str) -> str:
    """Without what may be written one way or the other."""
    return " ".join(re.sub(r"[^a-z ]+", " ", text.lower()).split())


CALLS: dict[str, Call] = {
    "recognize": recognize,
    "classify": classify,
    "models": models,
    "digits": digits,
    "stream": stream,
    "asked": asked,
    "scored": scored,
}


async def one(client: AsyncClient, kind: str) -> None:
    """Makes a call and prints how it went."""
    line: Fields = {"kind": kind, "at": time.time(), "error": "", "replica": ""}
    try:
        line |= await CALLS[kind](client)
    except EarshotError as error:
        line["error"] = f"{type(error).__name__}: {error}"
    write(json.dumps(line | {"ended": time.time()}))


def write(line: str) -> None:
    """For the test to read."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"{line}\n")


async def at_rate(client: AsyncClient, kind: str, rate: float, stop: asyncio.Event) -> None:
    """So many a second, whether or not those before are done."""
    under_way: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not stop.is_set():
        task = asyncio.create_task(one(client, kind))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        due += 1 / rate
        await asyncio.sleep(due - time.monotonic())
    await asyncio.gather(*under_way)


async def in_turn(client: AsyncClient, kind: str, stop: asyncio.Event) -> None:
    """One after another."""
    while not stop.is_set():
        await one(client, kind)


async def main(target: str, attempts: int, plan: dict[str, dict[str, float]]) -> None:
    """Goes by the plan until the signal."""
    stop, end = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, stop.set)
    loop.add_signal_handler(signal.SIGTERM, lambda: (stop.set(), end.set()))
    client = AsyncClient(target, timeout=30, retry=RetryPolicy(max_attempts=attempts))
    async with client, asyncio.TaskGroup() as group:
        for kind, how in plan.items():
            if "rate" in how:
                group.create_task(at_rate(client, kind, how["rate"], stop))
            for _ in range(int(how.get("workers", 0))):
                group.create_task(in_turn(client, kind, stop))
    write("done")
    await end.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
