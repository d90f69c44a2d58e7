"""The language of a stream: found once, by the first words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from earshot.runtime.batching import Outcome
from earshot.stt import wire
from earshot.stt.streaming.language import Language
from earshot.stt.types import Segment, Transcript


class Engine:
    """Finds a language in each stretch by its number; the first takes as long as it is told to."""

    def __init__(self, *found: Transcript) -> None:
        self._found = found
        self.asked: list[tuple[int, str]] = []
        self.go_on = asyncio.Event()

    async def recognize(self, number: int, language: str) -> Outcome:
        self.asked.append((number, language))
        if not number:
            await self.go_on.wait()
        return Outcome(wire.encode(self._found[number]), None, 0.0, 0.0)


def said(language: str) -> Transcript:
    return Transcript((Segment("something", 0.0, 1.0),), language)


NOTHING = Transcript((), "cy")
CASES = {
    "it is found by the first": ("", [said("de"), said("en"), said("en")], ["", "de", "de"]),
    "by the first that says something": ("", [NOTHING, said("de"), said("en")], ["", "", "de"]),
    "by none": ("", [NOTHING, NOTHING, NOTHING], ["", "", ""]),
    "the caller knows it": ("fr", [said("fr"), said("fr"), said("fr")], ["fr", "fr", "fr"]),
}


@pytest.mark.parametrize(("stated", "found", "asked"), CASES.values(), ids=CASES)
async def test_it_is_asked_for_until_it_is_known(
    stated: str, found: Sequence[Transcript], asked: list[str]
) -> None:
    engine, language = Engine(*found), Language(stated)
    engine.go_on.set()
    for number in range(len(found)):
        await language.heard(lambda code, number=number: engine.recognize(number, code))
    assert engine.asked == list(enumerate(asked))
    assert language.code == (asked[-1] or "")


async def test_who_comes_while_it_is_asked_for_waits() -> None:
    engine, language = Engine(said("de"), said("en"), said("en")), Language("")
    stretches = [
        asyncio.create_task(language.heard(lambda code, number=number: engine.recognize(number, code)))
        for number in range(3)
    ]
    while not engine.asked:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert engine.asked == [(0, "")]
    engine.go_on.set()
    await asyncio.gather(*stretches)
    assert engine.asked == [(0, ""), (1, "de"), (2, "de")]


async def test_who_fails_leaves_the_question_to_the_next() -> None:
    language, engine = Language(""), Engine(NOTHING, said("de"))

    async def fail(code: str) -> Outcome:
        raise RuntimeError(code)

    with pytest.raises(RuntimeError):
        await language.heard(fail)
    await language.heard(lambda code: engine.recognize(1, code))
    assert language.code == "de"
