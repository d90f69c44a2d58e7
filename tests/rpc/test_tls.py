"""Mutual TLS of a service: who may call it, new certificates while it runs, and health for probes."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from earshot import errors
from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.local import private
from earshot.local.certificates import CERTIFICATE, KEY, Signer
from earshot.local.ports import free_ports
from earshot.runtime.tls import Certificates
from tests.rpc import clips
from tests.rpc.conftest import Start

SERVICE, ENVOY = "services.earshot.internal", "envoy.earshot.internal"
REQUEST = speech_pb2.RecognizeRequest(content=clips.wav(0.5))


def _ports() -> dict[str, int]:
    port, metrics_port, health_port = free_ports(3)
    return {"port": port, "metrics_port": metrics_port, "health_port": health_port}


def _channel(port: int, trusted: Signer, shown: dict[str, bytes] | None) -> grpc.aio.Channel:
    pair = (shown[KEY], shown[CERTIFICATE]) if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted.pem()[CERTIFICATE], *pair)
    options = (("grpc.ssl_target_name_override", SERVICE), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


async def _code(channel: grpc.aio.Channel) -> str:
    async with channel:
        try:
            await speech_pb2_grpc.SpeechToTextStub(channel).Recognize(REQUEST, timeout=20)
        except grpc.aio.AioRpcError as failure:
            return failure.code().name
    return "OK"


async def test_only_who_shows_a_certificate_of_ours_may_call(start_speech: Start, tmp_path: Path) -> None:
    signer, other = Signer.new("ours"), Signer.new("another's")
    private.write(tmp_path, signer.issue(SERVICE))
    async with start_speech(tls_folder=tmp_path, **_ports()) as service:
        port = service.port
        assert await _code(_channel(port, signer, signer.issue(ENVOY))) == "OK"
        assert await _code(_channel(port, signer, None)) == "UNAVAILABLE"
        assert await _code(_channel(port, signer, other.issue(ENVOY))) == "UNAVAILABLE"
        assert await _code(_channel(port, other, signer.issue(ENVOY))) == "UNAVAILABLE"
        assert await _code(grpc.aio.insecure_channel(f"127.0.0.1:{port}")) == "UNAVAILABLE"


async def test_the_port_for_probes_has_health_and_nothing_else(start_speech: Start, tmp_path: Path) -> None:
    private.write(tmp_path, Signer.new("ours").issue(SERVICE))
    ports = _ports()
    health_port = ports["health_port"]
    async with (
        start_speech(tls_folder=tmp_path, **ports),
        grpc.aio.insecure_channel(f"127.0.0.1:{health_port}") as channel,
    ):
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        answer = await check(health_pb2.HealthCheckRequest(service="earshot.v1.SpeechToText"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert await _code(grpc.aio.insecure_channel(f"127.0.0.1:{health_port}")) == "UNIMPLEMENTED"


async def test_a_new_certificate_is_shown_and_no_call_lost(start_speech: Start, tmp_path: Path) -> None:
    """Of another authority: who knows only the old one is refused from then on."""
    old, new = Signer.new("old"), Signer.new("new")
    private.write(tmp_path, old.issue(SERVICE))
    ports = _ports()
    async with (
        start_speech(tls_folder=tmp_path, **ports),
        _channel(ports["port"], old, old.issue(ENVOY)) as lasting,
    ):
        stub = speech_pb2_grpc.SpeechToTextStub(lasting)
        await stub.Recognize(REQUEST, timeout=20)
        private.write(tmp_path, new.issue(SERVICE))
        assert await _code(_channel(ports["port"], new, new.issue(ENVOY))) == "OK"
        assert await _code(_channel(ports["port"], old, old.issue(ENVOY))) == "UNAVAILABLE"
        assert (await stub.Recognize(REQUEST, timeout=20)).results


def test_a_folder_without_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPreconditionError, match="EARSHOT_TLS_FOLDER"):
        Certificates(tmp_path)


def test_half_a_change_is_none(tmp_path: Path) -> None:
    private.write(tmp_path, Signer.new("ours").issue(SERVICE))
    certificates = Certificates(tmp_path)
    (tmp_path / KEY).unlink()
    assert not certificates.refresh()
    private.write(tmp_path, Signer.new("ours").issue(SERVICE))
    assert certificates.refresh()
    assert not certificates.refresh()
