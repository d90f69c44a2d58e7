"""What happens around every call: its id, its log line, its figures, its errors as statuses."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message

from earshot import errors
from earshot.rpc import compression
from earshot.rpc.status import code_of, to_grpc_status
from earshot.runtime import calls
from earshot.runtime.book import Book
from earshot.runtime.calls import Call, Stage
from earshot.runtime.elsewhere import Elsewhere
from earshot.runtime.labels import OTHER, Clients, Line, claimed_name
from earshot.runtime.logs import REQUEST_ID, logger
from earshot.runtime.metrics import Metrics
from earshot.runtime.shortage import shortage
from earshot.runtime.tracing import Tracing

_OURS: Final = "/earshot.v1."
REQUEST_ID_HEADER: Final = "x-request-id"
_ATTEMPT_HEADER: Final = "x-envoy-attempt-count"
_DIGITS: Final = 6
REPLICA_TRAILER: Final = "earshot-replica"
TRACE_TRAILER: Final = "earshot-trace-id"
# Envoy tries what is RESOURCE_EXHAUSTED on another replica, which may have room; not where it sees this.
_NO_RETRY: Final = (("x-envoy-ratelimited", "true"),)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs alone
Context = grpc.aio.ServicerContext[Any, Any]
UnaryBehaviour = Callable[[Message, Context], Awaitable[Message]]
StreamBehaviour = Callable[[AsyncIterator[Message], Context], AsyncGenerator[Message, None]]
Read: TypeAlias = Callable[[bytes], Message]
Write: TypeAlias = Callable[[Message], bytes]
Door = Callable[[Line], None]  # raises where such a call has no place
StreamHandler = Callable[[AsyncIterator[Message], Context], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Observer:
    """Who is told of calls."""

    replica: str
    metrics: Metrics
    book: Book
    tracing: Tracing | None = None  # None: off


@dataclass(frozen=True, slots=True)
class Entrance:
    """How calls come in."""

    clients: Clients
    patience: float  # seconds that a stream may wait for a caller who does not read
    doors: Mapping[str, Door]  # by a method's path: its calls are refused before any message is read
    elsewhere: Elsewhere = field(default_factory=Elsewhere)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of this API's methods; health and reflection pass untouched."""

    def __init__(self, observer: Observer, entrance: Entrance) -> None:
        self._observer, self._entrance = observer, entrance

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Gives the handler of a call, wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        about = self._call(handler_call_details)
        call = _Wrapped(about, self._observer, self._entrance)
        full = self._full(handler_call_details.method, about.line)
        if full:
            # Of the kind that reads as it likes: not at all.
            refusing = cast("Any", call.stream(_raising(full)))
            return grpc.stream_stream_rpc_method_handler(refusing)
        read = call.reader(cast("Read", handler.request_deserializer))
        write = call.writer(cast("Write", handler.response_serializer))
        # The stubs know only the synchronous forms of the handlers that grpc.aio takes as well.
        if handler.unary_unary:
            unary = cast("Any", call.unary(cast("UnaryBehaviour", handler.unary_unary)))
            return grpc.unary_unary_rpc_method_handler(unary, cast("Any", _read_or_error(read)), write)
        stream = cast("Any", call.stream(cast("StreamBehaviour", handler.stream_stream)))
        return grpc.stream_stream_rpc_method_handler(stream, read, write)

    def _full(self, method: str, line: Line) -> errors.ResourceExhaustedError | None:
        door = self._entrance.doors.get(method)
        if door is None:
            return None
        try:
            door(line)
        except errors.ResourceExhaustedError as error:
            return error.with_traceback(None)  # which would keep this frame
        return None

    def _call(self, details: grpc.HandlerCallDetails) -> Call:
        metadata = dict(details.invocation_metadata or ())
        clients, tracing = self._entrance.clients, self._observer.tracing
        method = details.method.removeprefix(_OURS)
        return Call(
            method=method.rpartition("/")[2],
            trace=tracing.begin(method, metadata) if tracing else None,
            request_id=str(metadata.get(REQUEST_ID_HEADER) or uuid.uuid4())[: calls.LONGEST],
            client=clients.label(metadata),
            line=clients.line(metadata),
            claimed_client=claimed_name(metadata),
            wants_gzip=compression.is_wanted(metadata),
            attempt=_number(metadata.get(_ATTEMPT_HEADER, "")),
        )


class _Wrapped:
    """One call, from its arrival to its end."""

    def __init__(self, call: Call, observer: Observer, entrance: Entrance) -> None:
        self._call, self._observer, self._metrics = call, observer, observer.metrics
        self._entrance = entrance

    # Bytes are counted where they are bytes: to ask a message for its size is to encode it all once more.

    def reader(self, read: Read) -> Read:
        def counted(data: bytes) -> Message:
            self._call.received_bytes += len(data)
            try:
                return read(data)
            except DecodeError:  # whose text may hold content
                raise _malformed() from None

        return counted

    def writer(self, write: Write) -> Write:
        def counted(message: Message) -> bytes:
            data = write(message)
            self._call.sent_bytes += len(data)
            return data

        return counted

    def unary(
        self, behaviour: UnaryBehaviour
    ) -> Callable[[Message | errors.EarshotError, Context], Awaitable[Message]]:
        async def wrapped(request: Message | errors.EarshotError, context: Context) -> Message:
            self._begin(context)
            try:
                response = await behaviour(_readable(request), context)
            except BaseException as exc:
                status = self._fail(context, exc)
            else:
                self._answered(grpc.StatusCode.OK)
                self._call.responded = self._call.answered
                return response
            # gRPC keeps what an abort raises, and with it this frame, until the garbage collector looks:
            # outside of the except clause, so that the error goes now, and without the request.
            del request
            await context.abort_with_status(status)
            raise AssertionError  # abort_with_status raises

        return wrapped

    def stream(self, behaviour: StreamBehaviour) -> StreamHandler:
        async def wrapped(requests: AsyncIterator[Message], context: Context) -> None:
            self._begin(context)
            writer = _Writer(context, self._entrance.patience)
            try:
                async with contextlib.aclosing(behaviour(requests, context)) as responses:
                    async for response in responses:
                        self._call.responded = self._call.responded or time.monotonic()
                        await writer.write(response)
            except BaseException as exc:
                status = self._fail(context, exc)
            else:
                self._answered(grpc.StatusCode.OK)
                return
            await writer.settle()
            await context.abort_with_status(status)

        return wrapped

    def _begin(self, context: Context) -> None:
        call = self._call
        calls.begin(call)
        REQUEST_ID.set(call.request_id)
        context.set_trailing_metadata(self._trailers())
        self._metrics.begin(call.method)
        # When the transport has the answer, or has given up; the stubs want a class of their own.
        context.add_done_callback(cast("Any", self._end))
        call.spend(Stage.RECEIVE, time.monotonic() - call.began)

    def _fail(self, context: Context, exc: BaseException) -> grpc.Status:
        """The status that ``exc`` stands for; where the caller has gone there is none, and it goes on."""
        if isinstance(exc, asyncio.CancelledError | GeneratorExit):
            self._answered(_why_cancelled(context), "caller gone")
            raise exc
        error = exc if isinstance(exc, errors.EarshotError) else shortage(exc) or _fault(exc)
        self._answered(code_of(error), error.reason)
        trailers = (*self._trailers(), *self._no_retry(error))
        return to_grpc_status(error, self._call.trace_id, trailers)

    def _no_retry(self, error: errors.EarshotError) -> tuple[tuple[str, str], ...]:
        """Tells the proxy where no other replica would do better; counts what a quota has ended."""
        if isinstance(error, errors.QuotaExceededError):
            quota = error.quota.name if error.quota else OTHER
            self._metrics.quota_refused.labels(quota, self._call.client).inc()
            return _NO_RETRY
        if not isinstance(error, errors.ResourceExhaustedError):
            return ()
        return _NO_RETRY if self._entrance.elsewhere.is_full(self._call.attempt) else ()

    def _trailers(self) -> tuple[tuple[str, str], ...]:
        """Who answered what, for callers to quote."""
        call = self._call
        trace = ((TRACE_TRAILER, call.trace_id),) if call.trace else ()
        return (REPLICA_TRAILER, self._observer.replica), (REQUEST_ID_HEADER, call.request_id), *trace

    def _answered(self, code: grpc.StatusCode, reason: str = "") -> None:
        self._call.answered = time.monotonic()
        self._call.code, self._call.reason = code, reason

    def _end(self, _: object) -> None:
        now, call = time.monotonic(), self._call
        call.spend(Stage.SEND, now - (call.answered or now))
        self._observer.book.add(call)
        if call.trace:
            call.trace.end(call)


def _read_or_error(read: Read) -> Callable[[bytes], Message | errors.EarshotError]:
    """``read``, whose error is given: of what is raised before a unary call begins gRPC makes UNKNOWN."""

    def given(data: bytes) -> Message | errors.EarshotError:
        try:
            return read(data)
        except errors.EarshotError as error:
            return error.with_traceback(None)  # which would keep this frame, and the bytes

    return given


def _readable(request: Message | errors.EarshotError) -> Message:
    """The request, or raises what has come in its place."""
    if isinstance(request, errors.EarshotError):
        raise request
    return request


def _malformed() -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        "the bytes are no message of this method: encode its request as earshot.v1 has it",
        reason="MESSAGE_MALFORMED",
    )


def _raising(error: errors.EarshotError) -> StreamBehaviour:
    async def raising(_: AsyncIterator[Message], __: Context) -> AsyncGenerator[Message, None]:
        raise error
        yield  # what makes it a stream

    return raising


def _number(given: str | bytes) -> int:
    """Of an attempt; the first where nothing is said, or nonsense."""
    return int(given) if given.isdigit() and len(given) < _DIGITS else 1


class _Writer:
    """Flow control makes each message wait for the caller to read; for ever, if one never does."""

    def __init__(self, context: Context, patience: float) -> None:
        self._context, self._patience = context, patience
        self._unread: asyncio.Future[None] | None = None  # the message that nobody has read

    async def write(self, response: Message) -> None:
        """Raises :class:`DeadlineExceededError` where nothing is read for too long."""
        writing = asyncio.ensure_future(self._context.write(response))
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(writing)
        except TimeoutError:
            self._unread = writing
            raise errors.DeadlineExceededError(
                f"nothing was read for {self._patience:g} s: the stream is closed", reason="STREAM_NOT_READ"
            ) from None
        except asyncio.CancelledError:
            writing.cancel()
            raise

    async def settle(self) -> None:
        """Until the message that nobody has read is read after all, or the call is over.

        A status is read after it. Once one is to be sent gRPC throws away whatever the caller says, without
        end; until then it takes no more than its window, nothing moves, and Envoy ends the call for that.
        """
        if self._unread:
            await self._unread


def _why_cancelled(context: Context) -> grpc.StatusCode:
    left = context.time_remaining()
    late = left is not None and left <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def _fault(exc: BaseException) -> errors.EarshotError:
    """A fault of ours: where it happened goes to the log, and no text that may hold content."""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    logger().error("fault", kind=type(exc).__name__, frames=frames, request_id=REQUEST_ID.get())
    return errors.InternalError(f"a fault of the service; quote request id {REQUEST_ID.get()}")
