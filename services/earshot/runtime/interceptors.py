"""What happens around every call: its id, its log line, its figures, its errors as statuses."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from earshot import errors
from earshot.rpc.status import code_of, to_grpc_status
from earshot.runtime.logs import REQUEST_ID, logger
from earshot.runtime.metrics import Metrics

_OURS: Final = "/earshot.v1."
REQUEST_ID_HEADER: Final = "x-request-id"
REPLICA_TRAILER: Final = "earshot-replica"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs alone
Context = grpc.aio.ServicerContext[Any, Any]
UnaryBehaviour = Callable[[Message, Context], Awaitable[Message]]
StreamBehaviour = Callable[[AsyncIterator[Message], Context], AsyncGenerator[Message, None]]
StreamHandler = Callable[[AsyncIterator[Message], Context], Awaitable[None]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of this API's methods; health and reflection pass untouched."""

    def __init__(self, metrics: Metrics, replica: str, patience: float) -> None:
        """``patience``: seconds that a stream may wait for a caller who does not read."""
        self._metrics, self._replica, self._patience = metrics, replica, patience

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Gives the handler of a call, wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_OURS):
            return handler
        call = _Call(self._metrics, self._replica, handler_call_details)
        coders = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        # The stubs know only the synchronous forms of the handlers that grpc.aio takes as well.
        if handler.unary_unary:
            unary = call.unary(cast("UnaryBehaviour", handler.unary_unary))
            return grpc.unary_unary_rpc_method_handler(cast("Any", unary), **coders)
        stream = call.stream(cast("StreamBehaviour", handler.stream_stream), self._patience)
        return grpc.stream_stream_rpc_method_handler(cast("Any", stream), **coders)


@dataclass(slots=True)
class _Tally:
    """What a call's log line says, beside its end."""

    started: float
    received: int = 0
    sent: int = 0


class _Call:
    """One call, from its arrival to its end."""

    def __init__(self, metrics: Metrics, replica: str, details: grpc.HandlerCallDetails) -> None:
        self._metrics, self._replica = metrics, replica
        self._method = details.method.rpartition("/")[2]
        self._request_id = _request_id(details)

    def unary(self, behaviour: UnaryBehaviour) -> UnaryBehaviour:
        async def wrapped(request: Message, context: Context) -> Message:
            tally = self._begin(context)
            tally.received = request.ByteSize()
            try:
                response = await behaviour(request, context)
            except BaseException as exc:
                status = self._fail(context, tally, exc)
            else:
                tally.sent = response.ByteSize()
                self._end(tally, grpc.StatusCode.OK, "")
                return response
            # gRPC keeps what an abort raises, and with it this frame, until the garbage collector looks:
            # outside of the except clause, so that the error goes now, and without the request.
            del request
            await context.abort_with_status(status)
            raise AssertionError  # abort_with_status raises

        return wrapped

    def stream(self, behaviour: StreamBehaviour, patience: float) -> StreamHandler:
        async def wrapped(requests: AsyncIterator[Message], context: Context) -> None:
            tally = self._begin(context)
            try:
                async with contextlib.aclosing(behaviour(_counted(requests, tally), context)) as responses:
                    async for response in responses:
                        tally.sent += response.ByteSize()
                        await _write(context, response, patience)
            except BaseException as exc:
                status = self._fail(context, tally, exc)
            else:
                self._end(tally, grpc.StatusCode.OK, "")
                return
            await context.abort_with_status(status)

        return wrapped

    def _begin(self, context: Context) -> _Tally:
        REQUEST_ID.set(self._request_id)
        context.set_trailing_metadata(
            ((REPLICA_TRAILER, self._replica), (REQUEST_ID_HEADER, self._request_id))
        )
        self._metrics.in_flight.inc()
        return _Tally(time.monotonic())

    def _fail(self, context: Context, tally: _Tally, exc: BaseException) -> grpc.Status:
        """The status that ``exc`` stands for; where the caller has gone there is none, and it goes on."""
        if isinstance(exc, asyncio.CancelledError | GeneratorExit):
            self._end(tally, _why_cancelled(context), "caller gone")
            raise exc
        error = exc if isinstance(exc, errors.EarshotError) else _fault(exc)
        self._end(tally, code_of(error), error.reason)
        return to_grpc_status(error)

    def _end(self, tally: _Tally, code: grpc.StatusCode, reason: str) -> None:
        seconds = time.monotonic() - tally.started
        metrics = self._metrics
        metrics.in_flight.dec()
        metrics.requests.labels(self._method, code.name).inc()
        metrics.request_seconds.labels(self._method).observe(seconds)
        metrics.received_bytes.labels(self._method).inc(tally.received)
        metrics.sent_bytes.labels(self._method).inc(tally.sent)
        logger().info(
            "call",
            method=self._method,
            code=code.name,
            reason=reason,
            seconds=round(seconds, 4),
            received_bytes=tally.received,
            sent_bytes=tally.sent,
            request_id=self._request_id,
        )


async def _write(context: Context, response: Message, patience: float) -> None:
    """Flow control makes this wait for the caller to read; for ever, if one never does."""
    try:
        async with asyncio.timeout(patience):
            await context.write(response)
    except TimeoutError:
        raise errors.DeadlineExceededError(
            f"nothing was read for {patience:g} s: the stream is closed", reason="STREAM_NOT_READ"
        ) from None


async def _counted(requests: AsyncIterator[Message], tally: _Tally) -> AsyncIterator[Message]:
    async for request in requests:
        tally.received += request.ByteSize()
        yield request


def _request_id(details: grpc.HandlerCallDetails) -> str:
    given = dict(details.invocation_metadata or ()).get(REQUEST_ID_HEADER)
    return str(given)[:128] if given else str(uuid.uuid4())


def _why_cancelled(context: Context) -> grpc.StatusCode:
    left = context.time_remaining()
    late = left is not None and left <= 0
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED


def _fault(exc: BaseException) -> errors.EarshotError:
    """A fault of ours: where it happened goes to the log, and no text that may hold content."""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    logger().error("fault", kind=type(exc).__name__, frames=frames, request_id=REQUEST_ID.get())
    return errors.InternalError(f"a fault of the service; quote request id {REQUEST_ID.get()}")
