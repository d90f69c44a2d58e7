"""Opening, sharing and closing of clients."""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from earshot.client import AsyncClient, Client, RetryPolicy
from earshot.errors import CancelledError, FailedPreconditionError, UnavailableError
from tests.rpc.client.scripted import Never, Script, heard


def _public(kind: type) -> dict[str, list[str]]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name: list(inspect.signature(method).parameters) for name, method in methods if name[0] != "_"}


def test_both_clients_have_the_same_methods() -> None:
    # Messages both ways are for services, which run on asyncio; programs have `stream`.
    assert _public(Client).keys() == _public(AsyncClient).keys() - {"send_streaming_recognize"}
    assert _public(Client).items() <= _public(AsyncClient).items()
    assert {"recognize", "classify", "classify_speech", "list_models", "stream", "close"} <= _public(
        Client
    ).keys()


def test_a_closed_client_says_so(script: Script) -> None:
    with Client(script.target) as client:
        pass

    with pytest.raises(FailedPreconditionError, match="closed"):
        client.recognize(b"audio")


async def test_a_closed_async_client_says_so(script: Script) -> None:
    async with AsyncClient(script.target) as client:
        pass

    with pytest.raises(FailedPreconditionError, match="closed"):
        await client.recognize(b"audio")


def test_closing_ends_the_wait_before_another_attempt(script: Script) -> None:
    script.always = UnavailableError("gone")
    # Enough attempts that whatever the jitter, there is a wait to end.
    client = Client(script.target, retry=RetryPolicy(100, initial=30, maximum=30), timeout=3600)
    closer = threading.Timer(0.3, client.close)
    closer.start()

    with pytest.raises(CancelledError):
        client.recognize(b"audio")

    closer.join()


def test_closing_ends_a_call(script: Script) -> None:
    script.always = Never()
    client = Client(script.target, timeout=60)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.recognize, b"audio")
        while not script.calls:
            threading.Event().wait(0.01)
        client.close()

        with pytest.raises(CancelledError):
            call.result()


async def test_closing_ends_an_async_call(script: Script) -> None:
    script.always = Never()
    client = AsyncClient(script.target, timeout=60)
    call = asyncio.create_task(client.recognize(b"audio"))
    while not script.calls:
        await asyncio.sleep(0.01)

    await client.close()

    with pytest.raises(CancelledError, match="closed"):
        await call


def test_threads_share_a_client(script: Script) -> None:
    script.always = heard("shared")

    with Client(script.target) as client, ThreadPoolExecutor(4) as pool:
        results = list(pool.map(client.recognize, [b"audio"] * 12))

    assert [result.text for result in results] == ["shared"] * 12


async def test_tasks_share_a_client(script: Script) -> None:
    script.always = heard("shared")

    async with AsyncClient(script.target) as client:
        results = await asyncio.gather(*(client.recognize(b"audio") for _ in range(12)))

    assert [result.text for result in results] == ["shared"] * 12


async def test_a_cancelled_task_cancels_its_call(script: Script) -> None:
    script.always = Never()

    async with AsyncClient(script.target) as client:
        task = asyncio.create_task(client.recognize(b"audio"))
        while not script.calls:
            await asyncio.sleep(0.01)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task


def test_an_async_client_may_be_made_before_its_loop(script: Script) -> None:
    script.always = heard("later")
    client = AsyncClient(script.target)

    async def call() -> str:
        async with client:
            return (await client.recognize(b"audio")).text

    assert asyncio.run(call()) == "later"


async def test_pcm_from_an_async_iterator(script: Script) -> None:
    script.always = heard()

    async def microphone() -> object:
        for piece in (b"\x01\x00", b"\x02\x00"):
            yield piece

    async with AsyncClient(script.target) as client:
        await client.recognize(microphone(), sample_rate=16000)

    request = script.calls[0].request
    explicit = request.config.explicit_decoding_config
    assert request.content == b"\x01\x00\x02\x00"
    assert (explicit.encoding, explicit.sample_rate_hertz) == (explicit.AUDIO_ENCODING_LINEAR16, 16000)


def test_credentials_make_the_channel_tls(script: Script) -> None:
    credentials = grpc.ssl_channel_credentials()

    with (
        Client(script.target, credentials=credentials, retry=RetryPolicy(1)) as client,
        pytest.raises(UnavailableError, match=r"(?i)handshake|ssl|tls"),
    ):
        client.recognize(b"audio")
