"""What a replica says to calls that come to it alone, and not through Envoy."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from earshot.client import AsyncClient, EarshotError
from earshot.load.work import Work
from earshot.rpc.status import code_of
from tests.drills.calls import hearing, phrases, scoring

ANSWERED: Final = "answered"
LACKING: Final = "UNAVAILABLE OUT_OF_RESOURCES"
_PAUSE: Final = 0.02  # seconds


def _classification(number: int) -> Work:
    """Of a text that was not seen before: such a one would be answered without any worker."""
    return scoring(f"Snow and {number} degrees of frost are forecast.", "weather")


@cache
def _recognition() -> Work:
    return hearing(phrases(1.5, 1)[0])


OF: Final[Mapping[str, Callable[[int], Work]]] = {
    "stt": lambda _: _recognition(),
    "classification": _classification,
}
"""By service, the work of a number."""


async def said(client: AsyncClient, work: Callable[[int], Work], seconds: float) -> Counter[str]:
    """For so long: how often it has answered, and with what it has refused."""
    until, counted = time.monotonic() + seconds, Counter[str]()
    for number in itertools.count():
        if time.monotonic() >= until:
            break
        try:
            answer = await work(number).send(client)
            counted[ANSWERED if answer.said is True else f"wrongly answered: {answer.said}"] += 1
        except EarshotError as error:
            counted[f"{code_of(error).name} {error.reason}"] += 1
        await asyncio.sleep(_PAUSE)
    return counted
