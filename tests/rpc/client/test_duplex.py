"""The streaming call by its messages: order, errors, flow control, and who is told when it ends early."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.client import AsyncClient
from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.rpc import status

Request = speech_pb2.StreamingRecognizeRequest
Response = speech_pb2.StreamingRecognizeResponse
Handler = Callable[[Any, Any], AsyncIterator[Response]]


@contextlib.asynccontextmanager
async def _serving(handler: Handler) -> AsyncIterator[AsyncClient]:
    class Servicer(speech_pb2_grpc.SpeechToTextServicer):
        async def StreamingRecognize(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
            async for response in handler(request_iterator, context):
                yield response

    server = grpc.aio.server()
    speech_pb2_grpc.add_SpeechToTextServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{port}") as client:
            yield client
    finally:
        await server.stop(None)


def _chunk(number: int, content: bytes = b"") -> Request:
    request = Request()
    request.audio.sequence_number, request.audio.content = number, content
    return request


async def _chunks(count: int, content: bytes = b"") -> AsyncIterator[Request]:
    for number in range(1, count + 1):
        yield _chunk(number, content)


async def _forever() -> AsyncIterator[Request]:
    yield _chunk(1)
    await asyncio.Event().wait()


async def _echo(requests: Any, context: Any) -> AsyncIterator[Response]:
    async for request in requests:
        response = Response()
        response.acknowledgement.acked_sequence_number = request.audio.sequence_number
        yield response


async def _until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


async def test_messages_in_order_both_ways() -> None:
    async with _serving(_echo) as client:
        responses = [each async for each in client.send_streaming_recognize(_chunks(50))]

    assert [each.acknowledgement.acked_sequence_number for each in responses] == list(range(1, 51))


async def test_what_was_sent_before_an_error_is_still_received() -> None:
    async def handler(requests: Any, context: Any) -> AsyncIterator[Response]:
        async for response in _echo(requests, context):
            yield response
        error = errors.InvalidArgumentError("a gap", reason="SEQUENCE_GAP", field="audio.sequence_number")
        await context.abort_with_status(status.to_grpc_status(error))

    async with _serving(handler) as client:
        responses = client.send_streaming_recognize(_chunks(5), metadata={"x-request-id": "of the caller"})
        first = await anext(responses)
        await asyncio.sleep(0.3)  # the status is here long before the rest is asked for
        rest = [(await anext(responses)).acknowledgement.acked_sequence_number for _ in range(4)]
        with pytest.raises(errors.InvalidArgumentError, match="a gap") as caught:
            await anext(responses)

    assert (first.acknowledgement.acked_sequence_number, rest) == (1, [2, 3, 4, 5])
    assert (caught.value.reason, caught.value.field) == ("SEQUENCE_GAP", "audio.sequence_number")
    assert caught.value.request_id == "of the caller"


async def test_what_the_requests_raise_is_raised_and_the_call_cancelled() -> None:
    ended = asyncio.Event()

    async def handler(requests: Any, context: Any) -> AsyncIterator[Response]:
        try:
            async for response in _echo(requests, context):
                yield response
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def broken() -> AsyncIterator[Request]:
        yield _chunk(1)
        raise ZeroDivisionError

    async with _serving(handler) as client:
        with pytest.raises(ZeroDivisionError):
            async for _ in client.send_streaming_recognize(broken()):
                pass
        await asyncio.wait_for(ended.wait(), 10)


async def test_leaving_early_cancels_the_call() -> None:
    ended = asyncio.Event()

    async def handler(requests: Any, context: Any) -> AsyncIterator[Response]:
        try:
            yield Response()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with _serving(handler) as client:
        async with contextlib.aclosing(client.send_streaming_recognize(_forever())) as responses:
            async for _ in responses:
                break
        await asyncio.wait_for(ended.wait(), 10)


async def test_cancelling_the_task_is_no_error_of_ours() -> None:
    async with _serving(_echo) as client:
        received = asyncio.Event()

        async def read() -> None:
            async for _ in client.send_streaming_recognize(_forever()):
                received.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(received.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_the_client_ends_the_stream() -> None:
    async with _serving(_echo) as client:
        responses = client.send_streaming_recognize(_forever())
        await anext(responses)
        await client.close()
        with pytest.raises(errors.CancelledError, match="closed"):
            await anext(responses)
        with pytest.raises(errors.FailedPreconditionError, match="closed"):
            client.send_streaming_recognize(_forever())


async def test_the_deadline_is_told() -> None:
    async with _serving(_echo) as client:
        with pytest.raises(errors.DeadlineExceededError):
            async for _ in client.send_streaming_recognize(_forever(), timeout=0.2):
                pass


async def test_a_service_that_does_not_read_holds_up_the_requests() -> None:
    asked, release = [0], asyncio.Event()

    async def handler(requests: Any, context: Any) -> AsyncIterator[Response]:
        yield Response()
        await release.wait()
        async for response in _echo(requests, context):
            yield response

    async def counted() -> AsyncIterator[Request]:
        async for request in _chunks(400, bytes(64 * 1024)):
            asked[0] += 1
            yield request

    async with _serving(handler) as client:
        responses = client.send_streaming_recognize(counted())
        await anext(responses)
        before = -1
        while asked[0] != before:  # until no more is asked for
            before = asked[0]
            await asyncio.sleep(0.2)
        assert 0 < before < 400
        release.set()
        assert len([each async for each in responses]) == 400


async def test_a_caller_that_does_not_take_holds_up_the_service() -> None:
    sent = [0]

    async def handler(requests: Any, context: Any) -> AsyncIterator[Response]:
        for _ in range(400):
            response = Response()
            response.acknowledgement.resume_token = "t" * 64 * 1024
            sent[0] += 1
            yield response

    async with _serving(handler) as client:
        responses = client.send_streaming_recognize(_chunks(1))
        await anext(responses)
        before = -1
        while sent[0] != before:
            before = sent[0]
            await asyncio.sleep(0.2)
        assert 0 < before < 400
        assert len([each async for each in responses]) == 399


async def test_nobody_there() -> None:
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(errors.UnavailableError):
            async for _ in client.send_streaming_recognize(_chunks(3)):
                pass
