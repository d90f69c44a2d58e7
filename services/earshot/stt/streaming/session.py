"""One connection of a stream, from its first chunk to its summary.

Two tasks and a queue between them: the one reads chunks and has them listened to, the other gives out
what has come of it, in order. The queue is short, and what goes to the caller is too: when an engine is
slow nobody reads, and the caller cannot send.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final as Constant

import msgspec

from earshot import errors
from earshot.quotas.tab import Tab
from earshot.quotas.types import milliseconds
from earshot.runtime.batching import Outcome
from earshot.runtime.blobs import Blob
from earshot.runtime.draining import Draining, gone
from earshot.runtime.feeding import WORKER_DIED
from earshot.runtime.metrics import Metrics
from earshot.runtime.outbox import ALIVE, Outbox
from earshot.runtime.pool import Pool
from earshot.stt import wire as engine_wire
from earshot.stt.settings import SpeechSettings
from earshot.stt.streaming import cuts, requests, wire
from earshot.stt.streaming.agreement import Agreement
from earshot.stt.streaming.figures import Figures
from earshot.stt.streaming.language import Language
from earshot.stt.streaming.ledger import Ledger
from earshot.stt.streaming.listeners import Ear, Listeners
from earshot.stt.streaming.position import Position
from earshot.stt.streaming.replies import Acknowledgement, Final, Interim, Reply, Summary
from earshot.stt.types import SAMPLE_RATE

_AHEAD: Constant = 2  # stretches that may be at engines or wait to be given out, beside the one awaited
_ACKNOWLEDGE: Constant = 1.0  # seconds between acknowledgements while chunks come
_NEWS: Constant = SAMPLE_RATE * 4 // 10  # samples of new speech that are worth another interim result
_SILENCE: Constant = 5_000  # milliseconds of it that are charged together
# What is listened to at once, so that other streams get their turn.
_PIECE: Constant = 8 * 1024  # bytes of a coded file: seconds of audio
_RAW_PIECE: Constant = 4  # seconds of raw samples


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a connection may last. Times in seconds."""

    idle: float  # without a message from the caller
    connection: float  # in all; the caller then goes on by its token
    leave: float  # between being told to go and being closed

    @classmethod
    def of(cls, settings: SpeechSettings) -> SessionLimits:
        """The part of the settings that concerns a connection."""
        return cls(settings.stream_idle_seconds, settings.max_stream_seconds, settings.drain_seconds)


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a session hears with."""

    listeners: Listeners
    engines: Pool
    draining: Draining
    metrics: Metrics
    limits: SessionLimits
    interims: set[asyncio.Task[None]] = field(default_factory=set)  # being heard, over all streams

    def make_way(self) -> None:
        """Gives up interims where a final would wait for them."""
        if not self.engines.has_idle:
            for task in self.interims:
                task.cancel()


@dataclass(frozen=True, slots=True)
class _Step:
    """What has come of some audio: where the stream stands once it is given out."""

    heard: wire.Heard
    position: Position
    work: asyncio.Task[Outcome] | None  # on heard.span
    ended: float  # when, by time.monotonic


class Session:
    """Make one for each connection."""

    def __init__(self, hearing: Hearing, order: requests.Order, position: Position, tab: Tab) -> None:
        self._hearing, self._order, self._position, self._tab = hearing, order, position, tab
        mark = position.mark
        if order.encoded_anew:
            mark = mark.encoded_anew(order.audio_format, position.origin)
        self._base = mark.sample  # where the audio of this connection begins
        self._ledger = Ledger(order.audio_format, mark)
        self._figures = Figures(hearing.metrics, position.origin)
        self._language = Language(order.options.language or position.language)
        self._steps: asyncio.Queue[_Step | errors.EarshotError | None] = asyncio.Queue(_AHEAD)
        self._out: Outbox[Reply] = Outbox()
        self._interim: asyncio.Task[None] | None = None
        self._agreement = Agreement()
        self._spoken = 0  # how far the latest interim has heard
        self._acknowledged = 0.0  # when, by time.monotonic
        self._due = 0  # steps that have not been given out

    async def replies(self, messages: requests.Requests) -> AsyncGenerator[Reply, None]:
        """All that is said to the caller. Raises what ends the stream before its end."""
        yield Reply(acknowledgement=Acknowledgement(self._ledger.acked, self._position))
        living = self._out.show_life(self._sign_of_life, ALIVE)
        replies = self._out.replies(self._give_out(), self._listen(messages), self._leave(), living)
        async with contextlib.aclosing(replies) as said:
            async for reply in said:
                yield reply

    def _sign_of_life(self) -> Reply:
        """Also while nothing is read, because engines are slow."""
        return Reply(acknowledgement=Acknowledgement(self._ledger.acked))

    async def _leave(self) -> None:
        limits = self._hearing.limits
        left = await self._hearing.draining.time_to_leave(limits.connection, limits.leave)
        await self._say(Reply(time_left=left))
        await asyncio.sleep(left)
        raise gone()

    # Listening.

    async def _listen(self, messages: requests.Requests) -> None:
        """Reads to the end. What is wrong is told only after what has been heard before it."""
        try:
            suspect = self._position.deaths > 0
            async with self._hearing.listeners.listening(self._opening(), alone=suspect) as ear:
                async for content in self._contents(messages):
                    await self._take(ear, content)
                await self._push(ear, b"", last=True)
        except errors.EarshotError as exc:
            await self._steps.put(exc)
        else:
            await self._steps.put(None)

    def _opening(self) -> wire.Open:
        order, where = self._order, self._position
        return wire.Open(
            stream=0,
            audio_format=order.audio_format,
            endpointing=order.endpointing,
            base=self._base,
            origin=where.origin,
            keep_from=where.keep_from,
            field=order.field,
        )

    async def _contents(self, messages: requests.Requests) -> AsyncIterator[bytes]:
        """The bytes of each chunk that have not been heard."""
        while True:
            try:
                async with asyncio.timeout(self._hearing.limits.idle):
                    message = await anext(messages, None)
            except TimeoutError:
                raise self._idle() from None
            if message is None:
                return
            chunk = requests.chunk(message)
            self._figures.chunk()
            yield self._ledger.take(chunk.sequence_number, chunk.content)

    def _idle(self) -> errors.EarshotError:
        return errors.DeadlineExceededError(
            f"nothing came for {self._hearing.limits.idle:g} s: go on by the resume token, and send a chunk "
            "without content while there is no audio",
            reason="STREAM_IDLE",
        )

    async def _take(self, ear: Ear, content: bytes) -> None:
        """Listens to a chunk, a piece at a time: it may be minutes of audio."""
        form = self._order.audio_format
        size = form.sample_rate * form.frame_bytes * _RAW_PIECE if form.is_raw else _PIECE
        for start in range(0, len(content), size):
            await self._push(ear, content[start : start + size])
        self._figures.encoded(len(content))
        if time.monotonic() - self._acknowledged >= _ACKNOWLEDGE and not self._out.is_full:
            await self._say(Reply(acknowledgement=Acknowledgement(self._ledger.acked)))

    async def _push(self, ear: Ear, data: bytes, *, last: bool = False) -> None:
        heard, samples = await ear.push(data, last=last)
        await self._step(heard, samples)
        while heard.span:
            heard, samples = await ear.push(b"", last=last)
            await self._step(heard, samples)
        self._look_ahead(ear, heard)

    async def _step(self, heard: wire.Heard, samples: Blob | None) -> None:
        """Takes account of what the listener says; a stretch that has ended goes to an engine."""
        self._figures.heard(heard)
        work = None
        if heard.span and samples:
            self._begin_stretch()
            self._hearing.make_way()
            work = self._out.start(self._language.heard(partial(self._recognize, heard.span, samples)))
            work.add_done_callback(lambda _: samples.close())
        if heard.events and self._order.events:
            await self._say(Reply(events=tuple(heard.events)))
        if work or heard.origin != self._position.origin:
            self._due += 1
            await self._steps.put(self._stepped(heard, work))

    def _stepped(self, heard: wire.Heard, work: asyncio.Task[Outcome] | None) -> _Step:
        before = self._position
        self._position = msgspec.structs.replace(
            before,
            origin=heard.origin,
            keep_from=heard.keep_from,
            mark=self._ledger.mark(heard.origin),
            transcribed=before.transcribed + (heard.span.end - heard.span.start if heard.span else 0),
            deaths=0,
        )
        return _Step(heard, self._position, work, time.monotonic())

    async def _recognize(
        self, span: wire.Span, samples: Blob, language: str, *, expendable: bool = False
    ) -> Outcome:
        options = self._order.options
        options = replace(options, language=language, word_offsets=options.word_offsets or span.is_cut)
        body = engine_wire.encode(options)
        return await self._hearing.engines.submit(body, samples, expendable=expendable)

    # Interim results.

    def _begin_stretch(self) -> None:
        """What is said of the last stretch is settled by its final."""
        if self._interim:
            self._interim.cancel()
        self._agreement, self._spoken = Agreement(), 0

    def _look_ahead(self, ear: Ear, heard: wire.Heard) -> None:
        """Has the stretch that goes on heard, where there is news, and all before it has been said."""
        is_news = heard.speaking and heard.spoken - self._spoken >= _NEWS
        is_free = not self._due and self._hearing.engines.has_idle
        if self._order.interims and is_news and is_free and (not self._interim or self._interim.done()):
            self._spoken = heard.spoken
            self._interim = self._out.start(self._interim_of(ear, self._agreement))
            self._hearing.interims.add(self._interim)
            self._interim.add_done_callback(self._hearing.interims.discard)

    async def _interim_of(self, ear: Ear, agreement: Agreement) -> None:
        try:
            await self._hear_so_far(ear, agreement)
        except errors.EarshotError as exc:  # the final will say
            if exc.reason == WORKER_DIED and agreement is self._agreement:
                self._spoken = sys.maxsize  # no other of this stretch: it might cost another worker

    async def _hear_so_far(self, ear: Ear, agreement: Agreement) -> None:
        heard, samples = await ear.peek()
        with samples or Blob.empty() as audio:
            if heard.span is None:
                return
            language = self._language.code  # a guess settles nothing
            outcome = await self._recognize(heard.span, audio, language, expendable=True)
        transcript = engine_wire.decode_transcript(outcome.body)
        segment = cuts.joined(transcript, heard.span, words=False)
        if segment and agreement is self._agreement:
            stable, unstable = agreement.add(segment.text)
            await self._say(Reply(interim=Interim(heard.span, stable, unstable, transcript.language)))
            self._figures.interim()

    # Giving out.

    async def _give_out(self) -> None:
        """Each step in its turn, then the summary."""
        finals = self._position.finals
        where, received = self._position, self._position.origin
        while (step := await self._steps.get()) is not None:
            if isinstance(step, errors.EarshotError):
                raise await self._told(step, where)
            final = _final(step, await step.work, self._order) if step.work else None
            await self._charge(step.position.origin, at_once=final is not None)
            finals += final is not None
            self._count(step, where.origin)
            where = msgspec.structs.replace(step.position, finals=finals, language=self._language.code)
            received = step.heard.received
            acknowledgement = Acknowledgement(self._ledger.acked, where)
            await self._say(Reply(final=final, acknowledgement=acknowledgement))
            self._due -= 1
        await self._charge(received)
        await self._tab.close()
        await self._say(Reply(summary=Summary(received, where.transcribed, finals)))

    async def _told(self, error: errors.EarshotError, where: Position) -> errors.EarshotError:
        """What the caller is told of ``error``, the stream being final up to ``where``.

        A listener may die of something else than what it was at: so the stream may go on, by a token that
        says what it has cost. Where the same audio costs another, which was at nothing else, it is given up.
        """
        if error.reason != WORKER_DIED or where.deaths:
            return error
        marked = msgspec.structs.replace(where, deaths=1)
        await self._say(Reply(acknowledgement=Acknowledgement(self._ledger.acked, marked)))
        return wire.lost()

    async def _charge(self, samples: int, *, at_once: bool = True) -> None:
        """Before anything is said of what is charged; silence is charged now and then."""
        total = milliseconds(samples / SAMPLE_RATE)
        if at_once or total - self._tab.charged >= _SILENCE:
            await self._tab.charge(total)

    def _count(self, step: _Step, origin: int) -> None:
        """A step is about to be given out; the one before had got to ``origin``."""
        span, heard = step.heard.span, 0
        if span and step.work:
            heard = span.end - span.start
            self._figures.final(span, step.work.result(), time.monotonic() - step.ended)
        self._figures.silence(step.position.origin - origin - heard)

    async def _say(self, reply: Reply) -> None:
        if reply.acknowledgement:
            self._acknowledged = time.monotonic()
            self._figures.acknowledged()
        await self._out.say(reply)


def _final(step: _Step, outcome: Outcome, order: requests.Order) -> Final | None:
    """What an engine has heard in a stretch; None where no word is left of it."""
    span = step.heard.span
    assert span  # noqa: S101 - for the type checker: there is work on it
    transcript = engine_wire.decode_transcript(outcome.body)
    words = order.options.word_offsets or order.options.word_confidence
    segment = cuts.joined(transcript, span, words=words)
    if segment is None:
        return None
    return Final(
        segment=segment,
        language=transcript.language,
        audio=span.seconds,
        queue=outcome.queue_seconds,
        inference=outcome.work_seconds,
        total=time.monotonic() - step.ended,
    )
