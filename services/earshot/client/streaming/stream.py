"""The stream for asyncio: moves audio and messages between the source, the session and the wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from earshot import errors
from earshot.client import duplex
from earshot.client import options as known
from earshot.client.sources import Format
from earshot.client.streaming import feed as feeds
from earshot.client.streaming import transcoding
from earshot.client.streaming.backlog import Backlog, Chunks, Commit, Rewound, Samples
from earshot.client.streaming.events import Event, Reconnecting, StreamResult, Summary
from earshot.client.streaming.messages import Request, Response, Wording
from earshot.client.streaming.pulling import Puller
from earshot.client.streaming.session import Session

if TYPE_CHECKING:
    from earshot.client.retry import RetryPolicy
    from earshot.client.sources import AsyncSource

# Begins a call, with labels or without; gives it and its request id.
Begin: TypeAlias = Callable[[bool], "tuple[Any, str]"]

UNCOMMITTED: Final = 64 * 1024 * 1024  # bytes
GIVE_UP: Final = 60.0  # seconds
KEEP_ALIVE: Final = 15.0  # seconds without audio, after which the stream shows that it lives
# Seconds without a word from the service, after which the connection counts as dead: it says one every 5 s.
SILENT: Final = 30.0


class AsyncStream(AsyncIterator[Event]):
    """What is heard in a source, event by event; goes on by itself after a break.

    Iterate it once, to its end; ``result`` grows meanwhile, and has ``summary`` afterwards. Leave it
    early by ``aclose``, or use it as a context manager. While nobody iterates, the service waits too.

    Raises from :mod:`earshot.errors`, and what the source raises as it is.
    """

    def __init__(
        self, begin: Begin, source: AsyncSource, policy: RetryPolicy, options: known.StreamOptions
    ) -> None:
        known.check(options, known.StreamOptions)
        self._begin = begin
        self._source = source
        self._options = options
        self._puller = Puller()
        self._changed = asyncio.Event()  # there is audio to send, or none will come
        self._room = asyncio.Event()  # there may be room for more
        self._pulling: asyncio.Task[None] | None = None
        self._source_error: Exception | None = None
        self._call: Any = None
        self._wording: Wording | None = None
        codec = options.get("codec")
        self._codec = transcoding.codec(codec) if codec else None
        self._policy = policy
        self._limits = _limits(options)
        self._taken = 0  # pieces of the source, since its beginning
        self._stop_at: int | None = None  # the source counts as ended after so many
        self._result = StreamResult()
        self._running = self._run()
        self._step: asyncio.Future[Event] | None = None
        self._closed = False

    @property
    def result(self) -> StreamResult:
        """All that has become final so far."""
        return self._result

    @property
    def summary(self) -> Summary | None:
        """The service's account; None before the end."""
        return self._result.summary

    async def __anext__(self) -> Event:
        self._step = asyncio.ensure_future(anext(self._running))
        try:
            return await self._step
        except asyncio.CancelledError:
            if self._closed and not _is_cancelled():  # by another task, which closed the stream
                raise StopAsyncIteration from None
            raise

    async def aclose(self) -> None:
        """Ends the stream where it stands, also under another task; what was not final is lost."""
        self._closed = True
        if self._step is not None and not self._step.done():
            self._step.cancel()
            await asyncio.wait([self._step])
        await self._running.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def finish(self) -> None:
        """Takes no more from the source: the stream ends when what was taken is final."""
        self._stop_at = self._taken
        if self._pulling is not None:
            self._pulling.cancel()

    def relabel(self, labels: Sequence[str]) -> None:
        """Scores what is heard from here on against other labels.

        Raises InvalidArgumentError for a stream that began without labels.
        """
        if not labels or not self._options.get("labels"):
            message = "give labels, to a stream that has had some from its beginning"
            raise errors.InvalidArgumentError(message, reason="NO_LABELS", field="labels")
        self._options = {**self._options, "labels": labels}
        if self._wording is not None:
            self._wording.relabel(labels)
        self._changed.set()

    async def _run(self) -> AsyncGenerator[Event, None]:
        try:
            feed = await feeds.opened(self._source, self._options, self._puller)
            session = Session(self._backlog(feed), self._policy, **self._limits)
            self._result = session.result
            async with aclosing(self._connections(session, feed)) as events:
                async for event in events:
                    yield event
        finally:
            await self._stop_pulling()
            self._puller.close()

    def _backlog(self, feed: feeds.Feed) -> Backlog:
        if self._codec is not None:
            return Samples(self._codec.new)
        if feed.rewinds:
            return Rewound()
        return Chunks(frees=feed.form.is_raw)

    async def _connections(self, session: Session, feed: feeds.Feed) -> AsyncGenerator[Event, None]:
        wording = self._wording = self._worded(feed.form)
        while True:
            if feed.rewinds:
                await self._stop_pulling()
            commit = session.connect(time.monotonic())
            if self._pulling is None or feed.rewinds:
                self._pulling = asyncio.create_task(self._pull(session, feed))
            try:
                async with aclosing(self._connection(session, wording, commit)) as events:
                    async for event in events:
                        yield event
            except errors.EarshotError as failure:
                self._raise_source_error()
                if session.done:
                    return
                broken = session.broken(failure, time.monotonic())
            else:
                return
            yield broken
            await self._pause(broken)

    async def _connection(
        self, session: Session, wording: Wording, commit: Commit
    ) -> AsyncGenerator[Event, None]:
        """One connection to its end; raises what ended it, unless that was the summary."""
        self._call, request_id = self._begin(wording.scores)
        requests = self._requests(session, wording, commit)
        async with aclosing(duplex.exchange(lambda: self._call, requests, request_id)) as responses:
            while (response := await _next(responses)) is not None:
                for event in session.received(response, time.monotonic()):
                    yield event
                self._room.set()
                if session.leaving and not session.done:
                    raise session.asked_to_leave()
        if not session.done:
            raise session.ended()

    async def _requests(
        self, session: Session, wording: Wording, commit: Commit
    ) -> AsyncGenerator[Request, None]:
        yield wording.first(commit)
        while True:
            self._raise_source_error()
            self._changed.clear()
            if (change := wording.change()) is not None:
                yield change
            elif (chunk := session.next()) is not None:
                yield wording.audio(chunk)
                self._room.set()
            elif session.sent_all:
                return
            elif not await _within(self._changed, KEEP_ALIVE):
                session.add(b"")

    async def _pull(self, session: Session, feed: feeds.Feed) -> None:
        """Takes what the source gives, as far as there is room."""
        self._taken = 0
        try:
            async for piece in feed.pieces():
                await self._wait_for_room(session, feed)
                if self._stop_at is not None and self._taken >= self._stop_at:
                    break
                session.add(piece)
                self._taken += 1
                self._changed.set()
        except asyncio.CancelledError:
            pass  # asked to finish, or nobody listens any more
        except Exception as error:  # whatever it is, the listener gets it
            self._source_error = error
            if self._call is not None:
                self._call.cancel()
        session.finish()
        self._changed.set()

    async def _wait_for_room(self, session: Session, feed: feeds.Feed) -> None:
        since = time.monotonic()
        while not session.has_room(waits=feed.waits):
            self._room.clear()
            patience = session.patience_left(since, time.monotonic()) if session.is_full else None
            if patience == 0:
                raise session.full()
            await _within(self._room, patience)

    async def _pause(self, broken: Reconnecting) -> None:
        end = time.monotonic() + broken.pause
        while (left := end - time.monotonic()) > 0 and self._source_error is None:
            self._changed.clear()
            await _within(self._changed, left)
        self._raise_source_error()

    def _raise_source_error(self) -> None:
        if self._source_error is not None:
            raise self._source_error

    async def _stop_pulling(self) -> None:
        if self._pulling is not None:
            self._pulling.cancel()
            await asyncio.wait([self._pulling])

    def _worded(self, form: Format) -> Wording:
        if self._codec is not None:
            return Wording(Format(self._codec.encoding), self._options, encoded_here=True)
        return Wording(form, self._options, encoded_here=False)


async def _next(responses: AsyncGenerator[Response, None]) -> Response | None:
    """The next response, or None at the end; raises UnavailableError where none comes for long."""
    try:
        async with asyncio.timeout(SILENT):
            return await anext(responses, None)
    except TimeoutError as error:
        message = f"nothing came from the service for {SILENT:g} s"
        raise errors.UnavailableError(message, reason="STREAM_SILENT") from error


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _within(event: asyncio.Event, seconds: float | None) -> bool:
    """True where the event comes in time; None: however long that takes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False


def _limits(options: known.StreamOptions) -> dict[str, Any]:
    limit = options.get("max_uncommitted_bytes", UNCOMMITTED)
    patience = options.get("give_up_after", GIVE_UP)
    if not (limit > 0 and 0 < patience < float("inf")):
        raise errors.InvalidArgumentError(
            "max_uncommitted_bytes and give_up_after must be above 0", field="max_uncommitted_bytes"
        )
    return {"limit": limit, "give_up_after": patience}
