"""One call with a stream both ways: flow control holds up the writer and the reader, each for itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import Message

from earshot import errors
from earshot.rpc import status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

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
    try:
        # Not call.read(): once the status is here it gives up what was received before it.
        async for response in call:
            yield response
    except grpc.RpcError as failure:
        error = status.from_rpc_error(failure)
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
    raise errors.CancelledError("the client was closed during the stream")
