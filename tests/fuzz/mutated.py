"""``python -m tests.fuzz.mutated TARGET COUNT``: many inputs in little time, whatever they reach.

What is kept, changed at random; input NUMBER is always the same, so that one that kills this process can be
made again: its number is in the file that ``--at`` names. Prints what it took, as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from earshot.audio.memory import bound_memory
from tests.fuzz.targets import TARGETS

CORPUS: Final = Path(__file__).with_name("corpus")
HEADROOM: Final = 256 * 2**20  # bytes: as the decoders of a service have it
_WARM: Final = 10  # the part of the inputs after which memory should be flat
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


def run(name: str, count: int, at: Path | None) -> dict[str, float]:
    """Inputs 0 to ``count``; what they took. Raises what the target does."""
    target, kept = TARGETS[name], [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    slowest, warm = 0.0, 0
    begun = time.monotonic()
    for number in range(count):
        if at:
            at.write_text(str(number), encoding="ascii")
        started = time.monotonic()
        target(made(kept, number))
        slowest = max(slowest, time.monotonic() - started)
        if number == count // _WARM:
            warm = _most_memory()
    grown = (_most_memory() - warm) / 1024
    return {"inputs": count, "seconds": time.monotonic() - begun, "slowest": slowest, "grown_mib": grown}


def _most_memory() -> int:
    """KiB, at any time so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("count", type=int)
    parser.add_argument("--at", type=Path, help="a file for the number of the input at work")
    chosen = parser.parse_args()
    bound_memory(HEADROOM)
    print(json.dumps(run(chosen.target, chosen.count, chosen.at)))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
