"""The load of calls whose answers are known: digits that are spoken, and texts whose label is plain."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from earshot.client import AsyncClient, EarshotError, Encoding, encoding
from earshot.client.options import ClipOptions
from earshot.client.retry import RetryPolicy
from earshot.load.tally import Tally
from earshot.load.work import Answer, Work
from earshot.rpc.status import code_of
from tests.drills import speech
from tests.drills.drill import Result
from tests.drills.speech import DIGITS, Recording, recordings, words_of

ONCE: Final = RetryPolicy(max_attempts=1)
# Where the engine is sure at once. Of others it hears a second time, by chance, and not always the same.
_CLEAR: Final = ("nicolas.flac", "theo.flac", "yweweler.flac", "conversation.flac")
_RATE: Final = 16_000
_RAW: Final[ClipOptions] = {"encoding": Encoding.LINEAR16, "sample_rate": _RATE}
_MOST: Final = 2**26  # bytes
LABELS: Final = ("weather", "football", "cooking", "computers")
_TEXTS: Final = (
    ("It will rain in the north tomorrow, with storms at night.", "weather"),
    ("The striker scored twice in the last ten minutes of the match.", "football"),
    ("Fry the onions in butter and add the chopped garlic.", "cooking"),
    ("The program crashes because a pointer is null.", "computers"),
    ("Snow and frost are forecast for the weekend.", "weather"),
    ("Bake the cake for forty minutes in a hot oven.", "cooking"),
)

_MANY: Final = 60  # texts


def phrases(seconds: float, count: int, within: float = 60.0) -> list[Recording]:
    """So many stretches of about ``seconds`` of spoken digits, from the start of each recording in turn."""
    spoken = [one for one in recordings(DIGITS, within) if one.name in _CLEAR]
    return [
        _phrase(spoken[number % len(spoken)], 2 + number // len(spoken), seconds) for number in range(count)
    ]


def _phrase(recording: Recording, part: int, seconds: float) -> Recording:
    """In that sixth of the recording, from the middle of one pause to that of another."""
    spans = recording.spans
    at = len(spans) * part // 6
    last = next(n for n in range(at, len(spans) - 1) if spans[n][1] - spans[at][0] >= seconds)
    start = (spans[at - 1][1] + spans[at][0]) / 2
    end = (spans[last][1] + spans[last + 1][0]) / 2
    samples = recording.samples[round(start * _RATE) * 2 : round(end * _RATE) * 2]
    return Recording(recording.name, samples, recording.words[at : last + 1], [])


def hearing(recording: Recording) -> Work:
    """Recognition of ``recording``: whether its words were heard."""
    return _hearing(recording.samples, _RAW, recording.words)


def hearing_decoded(recording: Recording) -> Work:
    """The same of a FLAC file, which a decoder has to take apart."""
    content = encoding.load(recording.samples, {**_RAW, "codec": "flac"}, _MOST).content
    return _hearing(content, {}, recording.words)


def _hearing(content: bytes, stated: ClipOptions, expected: list[str]) -> Work:
    async def send(client: AsyncClient) -> Answer:
        heard = await client.recognize(content, **stated)
        return Answer(same(words_of(heard.text), expected), heard.audio_duration)

    return Work("recognize", "audio s", send)


async def unhurried(target: str, seconds: float, codec: str) -> list[Work]:
    """Recognition of long stretches, held against what is heard of them where nothing else is to be done:
    the engine does not mistake a word now and another then.
    """
    works = []
    async with AsyncClient(target) as client:
        for recording in phrases(seconds, 4, within=180.0):
            content = encoding.load(recording.samples, {**_RAW, "codec": codec}, _MOST).content
            heard = await client.recognize(content)
            works.append(_hearing(content, {}, words_of(heard.text)))
    return works


def same(heard: list[str], expected: list[str]) -> bool | str:
    """Whether; where not, what was heard and what it should have been."""
    return heard == expected or f"{' '.join(heard)!r} for {' '.join(expected)!r}"


def scoring(text: str, label: str) -> Work:
    """Classification of ``text``: whether ``label`` is the best."""
    return _scoring([text], [label])


def scoring_many(number: int) -> Work:
    """Classification of so many texts that it takes a while, none of which any other number has: whether the
    label of each is the best.
    """
    some = [_TEXTS[at % len(_TEXTS)] for at in range(_MANY)]
    texts = [f"{text} ({number}-{at})" for at, (text, _) in enumerate(some)]
    return _scoring(texts, [label for _, label in some])


def _scoring(texts: list[str], expected: list[str]) -> Work:
    async def send(client: AsyncClient) -> Answer:
        scored = await client.classify(texts, LABELS)
        best = [one.best.label if one.best else "" for one in scored]
        return Answer(same(best, expected), len(texts))

    return Work("classify", "texts", send)


def asking(recording: Recording) -> Work:
    """Speech to labels: whether its words were heard on the way, and what it is about is the best."""

    async def send(client: AsyncClient) -> Answer:
        scored = await client.classify_speech(recording.samples, speech.LABELS, **_RAW)
        best = [scored.best.label] if scored.best else []
        return Answer(same([*words_of(scored.text), *best], [*recording.words, speech.NUMBERS]), 1)

    return Work("classify-speech", "clips", send)


async def known(target: str) -> list[Work]:
    """The works of which the engines are sure: what they mistake by themselves shows nothing of a fault."""
    spoken = phrases(1.5, 12)
    works = [hearing(one) for one in spoken[:6]]
    works += [hearing_decoded(one) for one in spoken[6:9]]
    works += [asking(one) for one in spoken[9:]]
    works += [scoring(text, label) for text, label in _TEXTS]
    return await sure(target, works)


async def sure(target: str, works: Sequence[Work]) -> list[Work]:
    """Those that are answered rightly where nothing is broken. Raises RuntimeError where of a kind most
    are not.
    """
    async with AsyncClient(target) as client:
        found = [work for work in works if (await work.send(client)).said is True]
    wanted, right = (Counter(work.kind for work in some) for some in (works, found))
    few = [f"{right[kind]} of {count} {kind}" for kind, count in wanted.items() if 2 * right[kind] < count]
    if few:
        raise RuntimeError(f"with nothing broken only so many are right: {', '.join(few)}")
    return found


class Load:
    """Calls under way until they are stopped, and what came of them."""

    def __init__(self, works: Sequence[Work], pause: float = 0.0) -> None:
        self.tally = Tally()
        self.stopping = False
        self.errors: Counter[str] = Counter()  # what they said
        self.wrong: Counter[str] = Counter()
        self._works, self._pause = works, pause
        self._numbers = itertools.count()
        for work in works:
            self.tally.expect(work, Answer(said=True, amount=0))

    async def call_on(self, client: AsyncClient) -> None:
        """One caller: the next call when one is answered, and ``pause`` seconds after it was begun."""
        started = -self._pause
        while not self.stopping:
            await asyncio.sleep(max(0.0, started + self._pause - time.monotonic()))
            work = self._works[next(self._numbers) % len(self._works)]
            started = time.monotonic()
            try:
                answer = await work.send(client)
            except EarshotError as error:
                self.tally.failed(work, code_of(error).name)
                self.errors[f"{code_of(error).name}: {error.message}"] += 1
            else:
                self.tally.answered(work, answer, time.monotonic() - started)
                if answer.said is not True:
                    self.wrong[str(answer.said)] += 1

    def judge(self, result: Result) -> None:
        """None may fail, and none be wrong."""
        report = self.tally.report(1.0)
        calls = report.answered + report.failed
        result.counts |= {"calls": calls, "failed": report.failed, "wrong": report.changed}
        result.must(calls, "no call was made")
        result.must(not report.failed, f"{report.failed} calls failed ({'; '.join(self.errors)})")
        result.must(not report.changed, f"{report.changed} answers were wrong ({'; '.join(self.wrong)})")


@asynccontextmanager
async def calling(
    target: str,
    works: Sequence[Work],
    callers: int = 6,
    retry: RetryPolicy | None = None,
    pause: float = 0.0,
) -> AsyncIterator[Load]:
    """Calls all the time, by two clients; those under way at the end are waited for. ``pause``: seconds from
    the beginning of one call to that of a caller's next, at the least.
    """
    load = Load(works, pause)
    clients = [AsyncClient(target, retry=retry or RetryPolicy()) for _ in range(2)]
    running = [asyncio.create_task(load.call_on(clients[number % 2])) for number in range(callers)]
    try:
        yield load
    finally:
        load.stopping = True
        await asyncio.gather(*running)
        for client in clients:
            await client.close()
