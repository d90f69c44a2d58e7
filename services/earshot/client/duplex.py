"""One call with a stream both ways: flow control holds up the writer and the reader, each for itself."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import Message

from earshot import errors
from earshot.rpc import status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

_PLACEHOLDER: Final = "Internal error from Core"
_TRIES: Final = 100

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


async def exchange(
    begin: Callable[[], grpc.aio.StreamStreamCall[RequestT, ResponseT]],
    requests: AsyncIterable[RequestT],
    request_id: str = "",
) -> AsyncGenerator[ResponseT, None]:
    """Sends ``requests`` and gives the responses as they come; ``begin`` makes the call.

    The next request is asked for when the one before has left, and the next response is received
    when the one before has been taken. Leaving early (``aclose``, or cancelling) cancels the call.
    Raises from :mod:`earshot.errors`, with ``request_id``, and what ``requests`` raises as it is.
    """
    call = begin()
    writer = asyncio.create_task(_write(call, requests))
    # A write that is under way when the call ends would put a status of its own over the service's.
    call.add_done_callback(partial(_stop, writer))
    try:
        # Not call.read(): once the status is here it gives up what was received before it.
        async for response in call:
            yield response
    except grpc.aio.AioRpcError as failure:
        error = status.from_rpc_error(await _settled(call, failure))
        error.request_id = request_id
        raise error from failure
    except asyncio.CancelledError:
        _raise_failure(writer)
        raise
    finally:
        call.cancel()
        writer.cancel()
        await asyncio.wait([writer])
        if not writer.cancelled():
            writer.exception()  # seen: without this, asyncio would complain of it


def _stop(writer: asyncio.Task[None], _call: object) -> None:
    writer.cancel()


async def _settled(
    call: grpc.aio.StreamStreamCall[RequestT, ResponseT], failure: grpc.aio.AioRpcError
) -> grpc.aio.AioRpcError:
    """How the call really ended.

    A write can fail just before the status comes: until then grpc.aio has a status of its own.
    """
    for _ in range(_TRIES):
        if failure.details() != _PLACEHOLDER:
            break
        await asyncio.sleep(0.01)
        failure = grpc.aio.AioRpcError(
            await call.code(),
            await call.initial_metadata(),
            await call.trailing_metadata(),
            await call.details(),
        )
    return failure


async def _write(
    call: grpc.aio.StreamStreamCall[RequestT, ResponseT], requests: AsyncIterable[RequestT]
) -> None:
    try:
        async for request in requests:
            if not await _sent(call, request):
                return
        await call.done_writing()
    except Exception:
        call.cancel()  # wakes the reader, which raises this
        raise


async def _sent(call: grpc.aio.StreamStreamCall[RequestT, ResponseT], request: RequestT) -> bool:
    """False where the call has ended; the reader learns how."""
    try:
        await call.write(request)
    except (grpc.RpcError, asyncio.InvalidStateError):
        return False
    return True


def _raise_failure(writer: asyncio.Task[None]) -> None:
    # grpc cancels the reading of a call that the writer cancelled; a task that is cancelled stays so.
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return
    if writer.done() and not writer.cancelled() and (failure := writer.exception()):
        raise failure
    raise errors.CancelledError("the client was closed during the stream", reason="CLIENT_CLOSED")
