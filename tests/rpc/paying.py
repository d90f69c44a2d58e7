"""Calls that are paid for by a client: settings, requests, and what a Redis knows of them afterwards."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.rpc.status import from_rpc_error
from tests.redis_server import RedisServer
from tests.rpc import clips

UNIT = "audio_seconds"


def quotas(server: RedisServer, **amounts: float) -> dict[str, Any]:
    """Settings by which "acme" may use so much, and others as much as they like."""
    return {
        "quotas": {"acme": amounts},
        "quota_redis_url": server.url,
        "quota_redis_seconds": 30.0,  # a machine under load may take its time
        "prices": {"*": {"audio_minute": 0.6}},
    }


def used(server: RedisServer, client: str = "acme", unit: str = UNIT) -> int:
    """In this month, in the unit's own numbers."""
    with server.client() as redis:
        return sum(int(redis.get(key) or 0) for key in redis.keys(f"earshot:used:{client}:{unit}:month:*"))


def usage(server: RedisServer, client: str = "acme") -> dict[str, int]:
    """All days together, as ``what:model``."""
    found: dict[str, int] = {}
    with server.client() as redis:
        for key in redis.keys(f"earshot:usage:{client}:*"):
            for name, value in redis.hgetall(key).items():
                found[name] = found.get(name, 0) + int(value)
    return found


def by(client: str = "acme", request_id: str = "") -> tuple[tuple[str, str], ...]:
    named = (("x-request-id", request_id),) if request_id else ()
    return (("x-earshot-client", client), *named)


def clip(seconds: float = 2.0) -> speech_pb2.RecognizeRequest:
    return speech_pb2.RecognizeRequest(content=clips.wav(seconds))


async def refusal(call: Any) -> errors.EarshotError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def answered(service: Any) -> errors.EarshotError | None:
    """Why a clip was not answered; None where it was."""
    try:
        await service.speech.Recognize(clip(), metadata=by())
    except grpc.aio.AioRpcError as exc:
        return from_rpc_error(exc)
    return None


def texts(*inputs: str) -> classification_pb2.ClassifyRequest:
    labels = classification_pb2.ClassificationConfig(candidate_labels=["a", "bbb"])
    return classification_pb2.ClassifyRequest(
        inputs=[classification_pb2.TextInput(text=text) for text in inputs], config=labels
    )


def spoken(labels: tuple[str, ...] = ("a", "bbb")) -> classification_pb2.ClassifySpeechRequest:
    config = classification_pb2.ClassificationConfig(candidate_labels=labels)
    return classification_pb2.ClassifySpeechRequest(
        content=clips.wav(2.0), recognition_config={}, classification_config=config
    )
