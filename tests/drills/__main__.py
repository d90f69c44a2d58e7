"""Runs drills, prints a row for each, and ends with an error if one of them did not hold."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earshot.client import AsyncClient, Encoding
from tests.drills.cases import ALL
from tests.drills.drill import Drill, World
from tests.drills.proxy import network
from tests.drills.speech import Difference, Heard, Recording, difference, recordings, stream
from tests.drills.stack import running

_SHARED = Path(os.environ.get("EARSHOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
_WITHIN = 0.01  # of the words: how far streams may be from unary calls, for digits at cuts


@dataclass(frozen=True)
class Form:
    """How much of it."""

    streams: int
    seconds: float  # of audio in each
    speed: float  # times the pace of speech
    replicas: int


SHORT, LONG = Form(6, 40, 2, 2), Form(20, 183, 1.5, 3)


@dataclass(frozen=True)
class Row:
    """What a drill has come to."""

    name: str
    title: str
    streams: int
    words: int
    complete: int
    breaks: int
    difference: Difference
    seconds: float

    @property
    def holds(self) -> bool:
        """No word lost, none twice, and every stream at its end."""
        found = self.difference
        return self.complete == self.streams and not found.lost and not found.doubled


class Runner:
    """Runs drills one after the other, against one stack."""

    def __init__(self, form: Form, world: World) -> None:
        self._form, self._world = form, world
        known = recordings(_SHARED / "data" / "digits", form.seconds)
        self.load: list[Recording] = [known[number % len(known)] for number in range(form.streams)]
        self._undisturbed: dict[str | None, list[list[str]]] = {}

    async def run(self, drill: Drill) -> Row:
        """The load, and the fault beside it. Held against the same load without the fault."""
        if drill.codec not in self._undisturbed:
            quiet = await self._streamed(drill)
            self._undisturbed[drill.codec] = [heard.words for heard in quiet]
        started = time.monotonic()
        fault = asyncio.ensure_future(drill.fault(self._world))
        try:
            heard = await self._streamed(drill)
        finally:
            fault.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await fault
            await self._world.network.mend()
        await self._settled()
        return self._row(drill, heard, time.monotonic() - started)

    async def _streamed(self, drill: Drill) -> list[Heard]:
        speed = 1.0 if drill.real_time else self._form.speed
        ways = [f"127.0.0.1:{port}" for port in self._world.network.ports]
        calls = (stream(way, one, speed, drill.codec) for way, one in zip(ways, self.load, strict=True))
        return await asyncio.gather(*calls)

    async def _settled(self) -> None:
        """Until all replicas serve again."""
        await self._world.stack.scale(self._form.replicas)
        while len(await self._serving()) != self._form.replicas:
            await asyncio.sleep(0.5)

    async def _serving(self) -> list[dict[str, Any]]:
        return [row for row in await self._world.stack.replicas() if row["phase"] == "serving"]

    def _row(self, drill: Drill, heard: Sequence[Heard], seconds: float) -> Row:
        for one in heard:
            if one.error:
                print(f"  {type(one.error).__name__}: {one.error}", file=sys.stderr)
        words = [one.words for one in heard]
        return Row(
            name=drill.name,
            title=drill.title,
            streams=len(heard),
            words=sum(map(len, words)),
            complete=sum(one.complete for one in heard),
            breaks=sum(one.breaks for one in heard),
            difference=difference(self._undisturbed[drill.codec], words),
            seconds=round(seconds, 1),
        )

    async def accuracy(self) -> tuple[float, float]:
        """Share of wrong words against what was spoken: in streams, and in unary calls."""
        spoken = [one.words for one in self.load]
        streamed = self._undisturbed[None]
        unary = await self._unary({one.name: one for one in self.load})
        return _share(spoken, streamed), _share(spoken, [unary[one.name] for one in self.load])

    async def _unary(self, load: dict[str, Recording]) -> dict[str, list[str]]:
        async with AsyncClient(f"127.0.0.1:{self._world.stack.port}", timeout=600) as client:
            return {
                name: (
                    await client.recognize(one.samples, encoding=Encoding.LINEAR16, sample_rate=16_000)
                ).text.split()
                for name, one in load.items()
            }


def _share(spoken: Sequence[Sequence[str]], heard: Sequence[Sequence[str]]) -> float:
    found = difference(spoken, heard)
    return (found.lost + found.doubled + found.changed) / sum(map(len, spoken))


async def _main(form: Form, wanted: Sequence[Drill]) -> tuple[list[Row], tuple[float, float]]:
    async with (
        running(_SHARED / "models" / "whisper-digits.pt", form.replicas) as stack,
        network(stack.port, form.streams) as ways,
    ):
        runner = Runner(form, World(stack, ways))
        rows = []
        for drill in wanted:
            rows.append(await runner.run(drill))
            print(_line(rows[-1]), flush=True)
        return rows, await runner.accuracy()


COLUMNS = ("drill", "streams", "complete", "words", "lost", "doubled", "changed", "breaks", "seconds")
HEADER = "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|"


def _line(row: Row) -> str:
    found = row.difference
    cells = (row.title, row.streams, row.complete, row.words, found.lost, found.doubled, found.changed)
    return "| " + " | ".join(map(str, (*cells, row.breaks, row.seconds))) + " |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer and shorter streams")
    parser.add_argument("--only", action="append", choices=[one.name for one in ALL], help="repeatable")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    chosen = parser.parse_args()
    if not _SHARED.is_dir():
        sys.exit(f"no test data at {_SHARED}: set EARSHOT_SHARED to the folder with data/ and models/")
    print(HEADER, flush=True)
    wanted = [one for one in ALL if not chosen.only or one.name in chosen.only]
    rows, (streamed, unary) = asyncio.run(_main(SHORT if chosen.short else LONG, wanted))
    print(f"\nwrong words: {streamed:.2%} in streams, {unary:.2%} in unary calls")
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    failed = [row.name for row in rows if not row.holds]
    if abs(streamed - unary) > _WITHIN:
        failed.append("accuracy")
    if failed:
        sys.exit(f"did not hold: {', '.join(failed)}")


if __name__ == "__main__":
    main()
