"""A service's life: ready only when loaded, drained on a signal; health, reflection and metrics."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from earshot.gen.v1 import speech_pb2
from tests.rpc import clips
from tests.rpc.conftest import Running, Start, own_ports

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
REQUEST = speech_pb2.RecognizeRequest(content=clips.wav(0.5))


async def _status(service: Running, name: str) -> int:
    answer = await service.health.Check(health_pb2.HealthCheckRequest(service=name))
    return int(answer.status)


async def test_health_is_by_service_name(start_speech: Start) -> None:
    async with start_speech() as service:
        for name in ("", "earshot.v1.SpeechToText", "liveness"):
            assert await _status(service, name) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _status(service, "earshot.v1.ZeroShotClassifier")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_without_a_worker_it_is_not_ready_and_recovers(start_speech: Start) -> None:
    async with start_speech() as service:
        *_, worker = _workers()
        os.kill(worker, signal.SIGKILL)
        while await _status(service, "") == SERVING:
            await asyncio.sleep(0.001)
        assert await _status(service, "liveness") == SERVING
        while await _status(service, "") != SERVING:
            await asyncio.sleep(0.01)
        assert (await service.speech.Recognize(REQUEST)).results


async def test_the_decoders_memory_is_bounded(start_speech: Start) -> None:
    """A few bytes can declare gigabytes: ffmpeg's allocations must fail before the machine's do."""
    async with start_speech(decoder_mebibytes=64):
        decoder, _, engine = (psutil.Process(pid) for pid in _workers())
        soft, _ = decoder.rlimit(psutil.RLIMIT_DATA)
        assert 64 * 2**20 < soft < 2**30
        assert engine.rlimit(psutil.RLIMIT_DATA) == psutil.Process().rlimit(psutil.RLIMIT_DATA)


async def test_who_parses_strangers_bytes_is_locked_up(start_speech: Start) -> None:
    """By the kernel's own word on each process: no core, no new rights, and a filter of calls."""
    async with start_speech():
        decoder, listener, engine = (psutil.Process(pid) for pid in _workers())
        assert [_seccomp(one) for one in (decoder, listener)] == ["2", "2"]
        assert _seccomp(engine) == _seccomp(psutil.Process())  # engines come with drivers of their own
        for one in (decoder, listener, engine):
            assert one.rlimit(psutil.RLIMIT_CORE)[1] <= 1
            assert _status_of(one, "NoNewPrivs") == "1"


def _seccomp(process: psutil.Process) -> str:
    return _status_of(process, "Seccomp")


def _status_of(process: psutil.Process, name: str) -> str:
    """One line of ``/proc/PID/status``; 2 is a filter."""
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def _workers() -> list[int]:
    """The processes of the decoder, the listener and the engine, which starts after the others."""
    workers = [one for one in psutil.Process().children() if "earshot.runtime.worker" in one.cmdline()]
    return [one.pid for one in sorted(workers, key=lambda one: one.create_time())]


async def test_engines_give_way_and_nobody_else_does(start_speech: Start, start_texts: Start) -> None:
    own = psutil.Process().nice()
    async with start_speech(), start_texts():
        pools = [(psutil.Process(pid).cmdline()[-1].partition("-")[0], pid) for pid in _workers()]
        assert sorted((pool, psutil.Process(pid).nice() - own) for pool, pid in pools) == [
            ("decoders", 0),
            ("engines", 2),
            ("engines", 2),
            ("listener", 0),
        ]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_both_services(start_speech: Start, version: str) -> None:
    async with start_speech() as service:
        method = service.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="earshot.v1.ZeroShotClassifier"),
        ]
        listed, described = [response async for response in method(iter(requests))]
        names = {one.name for one in listed.list_services_response.service}
        assert {"earshot.v1.SpeechToText", "earshot.v1.ZeroShotClassifier"} <= names
        assert described.file_descriptor_response.file_descriptor_proto


class Process:
    """A service in a process of its own, as an operator starts it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process, self.port = process, port

    @classmethod
    async def start(cls, service: str = "stt", **environment: str) -> Process:
        ports = own_ports()
        settings = {
            "EARSHOT_PORT": str(ports["port"]),
            "EARSHOT_METRICS_PORT": str(ports["metrics_port"]),
            "EARSHOT_ENGINE": "pocketsphinx" if service == "stt" else "embedding",
            "EARSHOT_DRAIN_SECONDS": "0.5",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"earshot.{service}"),
            env=os.environ | settings | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process, ports["port"])

    async def events(self, last: str) -> list[dict[str, object]]:
        """Log lines up to the first whose event is ``last``."""
        assert self.process.stdout is not None
        seen: list[dict[str, object]] = []
        async for line in self.process.stdout:
            seen.append(json.loads(line))
            if seen[-1]["event"] == last:
                return seen
        raise AssertionError(f"no {last} in {seen}")


async def test_a_signal_drains_it() -> None:
    """Not ready at once, yet still serving; what is at work ends; exit 0; every log line is JSON."""
    service = await Process.start()
    await service.events("ready")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        running = Running(channel, service.port, 0)
        assert await _status(running, "") == SERVING
        service.process.terminate()
        await service.events("draining")
        assert await _status(running, "earshot.v1.SpeechToText") == NOT_SERVING
        await running.speech.Recognize(REQUEST)
    lines = await service.events("stopped")
    assert await service.process.wait() == 0
    calls = [line for line in lines if line["event"] == "call"]
    assert [(call["method"], call["code"]) for call in calls] == [("Recognize", "OK")]


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"EARSHOT_WORKERS": "none"}, "EARSHOT_WORKERS='none'"),
        ({"EARSHOT_ENGINE": "abacus"}, "abacus"),
        ({"EARSHOT_ENGINE": "whisper", "EARSHOT_MODEL": "/nowhere.pt"}, "/nowhere.pt"),
    ],
)
async def test_it_does_not_start_with_wrong_settings(environment: dict[str, str], complaint: str) -> None:
    service = await Process.start(**environment)
    _, err = await service.process.communicate()
    assert service.process.returncode == 1
    assert complaint in err.decode()
    assert "Traceback" not in err.decode()
    assert len(err.decode().splitlines()) == 1


async def test_a_port_in_use_is_one_clear_line(start_speech: Start) -> None:
    async with start_speech() as taken:
        service = await Process.start(EARSHOT_PORT=str(taken.port))
        _, err = await service.process.communicate()
        assert service.process.returncode == 1
        assert "EARSHOT_PORT" in err.decode()
        assert "Traceback" not in err.decode()


async def test_a_signal_while_it_loads_ends_it() -> None:
    service = await Process.start(EARSHOT_DRAIN_SECONDS="0")
    await service.events("listening")
    started = time.monotonic()
    service.process.send_signal(signal.SIGINT)
    await service.process.communicate()
    assert service.process.returncode == 0
    assert time.monotonic() - started < 30


async def test_refused_requests_are_not_kept() -> None:
    """What gRPC keeps of a call that was aborted must not hold the caller's megabytes."""
    service = await Process.start()
    await service.events("ready")
    request = speech_pb2.RecognizeRequest(content=b"\1" * 32 * 2**20)
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=options) as channel:
        for _ in range(10):
            with pytest.raises(grpc.aio.AioRpcError):
                await Running(channel, service.port, 0).speech.Recognize(request)
    resident = psutil.Process(service.process.pid).memory_info().rss
    service.process.kill()
    await service.process.communicate()
    assert resident < 280 * 2**20


async def test_no_process_is_left_when_the_front_is_killed() -> None:

    service = await Process.start()
    await service.events("ready")
    children = psutil.Process(service.process.pid).children(recursive=True)
    assert len(children) == 3
    service.process.kill()
    await service.process.communicate()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, children, 30)
    assert not alive, gone


async def test_no_content_in_the_log(start_speech: Start, logged: pytest.CaptureFixture[str]) -> None:
    async with start_speech() as service:
        await service.speech.Recognize(REQUEST, metadata=(("x-request-id", "request-7"),))
    output = logged.readouterr().out
    assert "request-7" in output
    assert "heard" not in output
