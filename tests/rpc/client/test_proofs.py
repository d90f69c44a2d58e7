"""Who the caller is: how it is sent, and where it is not."""

from __future__ import annotations

import grpc
import pytest

from earshot.client import AsyncClient, Client, InvalidArgumentError
from earshot.gen.v1 import classification_pb2
from tests.rpc.client.scripted import Script


def _sent(script: Script) -> list[object]:
    return [dict(call.metadata).get("x-api-key") for call in script.calls]


async def test_the_key_goes_with_every_call(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.then(*(classification_pb2.ClassifyResponse(results=[{}]) for _ in range(4)))
    with Client(script.target, api_key="mine") as client:
        client.classify("a", ["b"])
    async with AsyncClient(script.target, api_key="mine") as client:
        await client.classify("a", ["b"])
    monkeypatch.setenv("EARSHOT_API_KEY", "of the environment")
    with Client(script.target) as client:
        client.classify("a", ["b"])
    with Client(script.target, api_key="") as client:
        client.classify("a", ["b"])
    assert _sent(script) == ["mine", "mine", "of the environment", None]


@pytest.mark.parametrize("target", ["speech.example:443", "192.0.2.1:80", "dns:///localhost.example:80"])
def test_the_key_is_not_sent_in_plain_text_to_others(target: str) -> None:
    with pytest.raises(InvalidArgumentError, match="plain text") as refusal:
        Client(target, api_key="mine")
    assert (refusal.value.reason, refusal.value.field) == ("KEY_IN_PLAIN_TEXT", "api_key")
    assert "mine" not in refusal.value.message
    Client(target, api_key="mine", key_in_plain_text=True).close()
    Client(target, api_key="mine", credentials=grpc.ssl_channel_credentials()).close()
    Client(target, api_key="").close()


@pytest.mark.parametrize("target", ["localhost:1", "127.0.0.2:1", "[::1]:1", "unix:/tmp/socket"])
def test_what_stays_on_the_machine_needs_no_tls(target: str) -> None:
    Client(target, api_key="mine").close()
