"""``python -m tests.fuzz.mutated TARGET COUNT``: many inputs in little time, whatever they reach.

What is kept, changed at random; input NUMBER is always the same, so that one that kills this process can be
made again: its number is in the file that ``--at`` names. One that takes longer than ``--limit`` ends the
process by SIGALRM, in native code as well, once it is said where it hangs. Prints what it took, as JSON.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import resource
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from earshot.audio.memory import bound_memory
from tests.fuzz.targets import TARGETS

CORPUS: Final = Path(__file__).with_name("corpus")
HEADROOM: Final = 256 * 2**20  # bytes: as the decoders of a service have it
LIMIT: Final = 10.0  # seconds for one input
_LOOKS: Final = 300  # at the memory, over the run
_MOST: Final = 64 * 1024  # bytes of an input


def _flip(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _number(data: bytearray, chance: random.Random) -> None:
    """Four bytes of a size that is none."""
    at = chance.randrange(len(data))
    data[at : at + 4] = chance.choice((0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(
        4, chance.choice(("big", "little"))
    )


def _cut(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 64)]


def _end(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data) + 1) :]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at, size = chance.randrange(len(data)), chance.randrange(1, 256)
    data[at:at] = data[at : at + size] * chance.randrange(1, 8)


def _insert(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data)) : 0] = chance.randbytes(chance.randrange(1, 32))


_CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    *(_flip, _set, _number, _cut, _end, _repeat, _insert),
)


def made(kept: list[bytes], number: int) -> bytes:
    """Input ``number``."""
    chance = random.Random(number)
    data = bytearray(chance.choice(kept))
    if not chance.randrange(8):  # the head of one, the rest of another
        other = chance.choice(kept)
        data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if data:
            chance.choice(_CHANGES)(data, chance)
    return bytes(data[:_MOST])


def inputs(name: str) -> list[bytes]:
    """What is kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def run(name: str, count: int, at: Path | None, limit: float = LIMIT) -> dict[str, float]:
    """Inputs 0 to ``count``; what they took. Raises what the target does."""
    target, kept = TARGETS[name], inputs(name)
    slowest, memory = 0.0, [resident()]
    begun = time.monotonic()
    for number in range(count):
        if at:
            at.write_text(str(number), encoding="ascii")
        slowest = max(slowest, _timed(target, made(kept, number), limit))
        if number % max(1, count // _LOOKS) == 0:
            memory.append(resident())
    return {
        "inputs": count,
        "seconds": time.monotonic() - begun,
        "slowest": slowest,
        "grown_mib": grown(memory),
    }


def _timed(target: Callable[[bytes], None], data: bytes, limit: float) -> float:
    """Seconds that it took; the process ends where they are more than ``limit``."""
    signal.setitimer(signal.ITIMER_REAL, limit)
    started = time.monotonic()
    try:
        target(data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return time.monotonic() - started


def end_what_hangs() -> None:
    """At SIGALRM it is said where this process is, and it ends: both by the kernel's signal alone, as what
    hangs in a library's loop never comes back to Python.
    """
    faulthandler.enable(all_threads=False)  # and where it crashes
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)


def resident() -> float:
    """MiB of this process now: a peak that is past would hide what grows below it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def grown(memory: Sequence[float]) -> float:
    """MiB from the second third of the looks to the last, by their medians: by the first it has warmed up."""
    third = len(memory) // 3
    if not third:
        return 0.0
    return statistics.median(memory[-third:]) - statistics.median(memory[third : 2 * third])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("count", type=int)
    parser.add_argument("--at", type=Path, help="a file for the number of the input at work")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that an input may take")
    chosen = parser.parse_args()
    bound_memory(HEADROOM)
    end_what_hangs()
    print(json.dumps(run(chosen.target, chosen.count, chosen.at, chosen.limit)))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
