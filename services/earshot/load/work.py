"""The kinds of call that a load is made of. Each gives its answer, by which a changed one is noticed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from earshot.client import AsyncClient, RecognizeOptions, Source


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave."""

    said: object  # words, or the best label of each text; compared, and never shown
    amount: float  # audio seconds, or texts
    queue: float = 0.0  # seconds that the service says it waited for a worker
    at_work: float = 0.0  # seconds that the service says the engine took


@dataclass(frozen=True, slots=True)
class Work:
    """One call that can be made again and again."""

    kind: str
    unit: str  # of an answer's amount
    send: Callable[[AsyncClient], Awaitable[Answer]]


def recognition(source: Source, **options: Unpack[RecognizeOptions]) -> Work:
    """``Recognize`` of one clip."""

    async def send(client: AsyncClient) -> Answer:
        heard = await client.recognize(source, **options)
        took = heard.latency
        return Answer(heard.text, heard.audio_duration, took.queue or 0.0, took.inference or 0.0)

    return Work("recognize", "audio s", send)


def classification(texts: Sequence[str], labels: Sequence[str]) -> Work:
    """``Classify`` of all the texts in one request."""

    async def send(client: AsyncClient) -> Answer:
        scored = await client.classify(list(texts), labels)
        best = tuple(one.best.label if one.best else "" for one in scored)
        return Answer(best, len(best), scored.latency.queue or 0.0, scored.latency.inference or 0.0)

    return Work("classify" if len(texts) == 1 else f"classify, {len(texts)} texts", "texts", send)


def speech_classification(source: Source, labels: Sequence[str]) -> Work:
    """``ClassifySpeech`` of one clip."""

    async def send(client: AsyncClient) -> Answer:
        answer = await client.classify_speech(source, labels)
        heard = answer.recognition
        took = heard.latency
        return Answer(answer.text, heard.audio_duration, took.queue or 0.0, took.inference or 0.0)

    return Work("classify-speech", "audio s", send)


def stream(source: Source) -> Work:
    """``StreamingRecognize`` of one recording, at the pace of speech; it takes as long as it is spoken."""

    async def send(client: AsyncClient) -> Answer:
        async with client.stream(source, realtime=True, interim_results=False) as events:
            async for _ in events:
                pass
            summary = events.result.summary
            return Answer(events.result.text, summary.audio_received if summary else 0.0)

    return Work("stream", "audio s", send)
