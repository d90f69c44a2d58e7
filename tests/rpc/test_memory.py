"""Audio is in memory while it is worked on, and not after: by the kernel's own lists, whatever dies when."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import grpc
import psutil
import pytest

from earshot.gen.v1 import speech_pb2
from tests.rpc import clips
from tests.rpc.conftest import Start
from tests.rpc.seen import engine, until, workers
from tests.rpc.test_life import Process

BLOB = "/memfd:earshot (deleted)"  # of runtime.blobs
REQUEST = speech_pb2.RecognizeRequest(content=clips.wav(2.0))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into processes of services")


def held(*pids: int) -> set[int]:
    """The shared memory with audio in it, by its inodes, that these processes have open or mapped."""
    found = set()
    for pid in pids:
        found |= _open(pid) | _mapped(pid)
    return found


def _open(pid: int) -> set[int]:
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(entry.readlink()) == BLOB:
                inodes.add(entry.stat().st_ino)
        except FileNotFoundError:  # it has just been closed
            continue
    return inodes


def _mapped(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {int(line.split()[4]) for line in lines if line.endswith(BLOB)}


def family() -> list[int]:
    """The front process, which is this one, and its workers."""
    return [os.getpid(), *(one.pid for one in workers())]


async def freed() -> None:
    """Waits until no process has any; the test's own time limit bounds it."""
    while held(*family()):
        await asyncio.sleep(0.02)


async def test_audio_is_gone_after_its_call(start_speech: Start) -> None:
    async with start_speech("slow") as service:
        call = asyncio.ensure_future(service.speech.Recognize(REQUEST))
        await until(service, "earshot_workers_busy{", 'pool="engines"', " 1.0")
        assert held(engine().pid)
        await call
        await freed()


@pytest.mark.parametrize("outcome", ["cancelled", "bad audio", "worker killed"])
async def test_audio_is_gone_whatever_the_outcome(start_speech: Start, outcome: str) -> None:
    async with start_speech("slow") as service:
        if outcome == "bad audio":
            bad = speech_pb2.RecognizeRequest(content=b"fLaC" + bytes(100_000))
            with pytest.raises(grpc.aio.AioRpcError):
                await service.speech.Recognize(bad)
        else:
            call = service.speech.Recognize(REQUEST)
            await until(service, "earshot_workers_busy{", 'pool="engines"', " 1.0")
            assert held(*family())
            if outcome == "cancelled":
                call.cancel()
            else:
                os.kill(engine().pid, signal.SIGKILL)
                await call  # tried once more
        await freed()


async def test_when_the_front_is_killed_its_workers_and_their_memory_go() -> None:
    service = await Process.start()
    try:
        await service.events("ready")
        children = psutil.Process(service.process.pid).children(recursive=True)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
            stub = channel.unary_unary("/earshot.v1.SpeechToText/Recognize")
            long = speech_pb2.RecognizeRequest(content=clips.wav(30.0)).SerializeToString()
            call = asyncio.ensure_future(stub(long))
            pids = [service.process.pid, *(one.pid for one in children)]
            while not (inodes := held(*pids)):
                await asyncio.sleep(0.005)
            service.process.kill()
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 30)
        assert not alive
        assert not inodes & await asyncio.to_thread(_anywhere)
    finally:
        if service.process.returncode is None:
            service.process.kill()
        await service.process.communicate()


def _anywhere() -> set[int]:
    """All such memory that any process of this machine holds."""
    found = set()
    for pid in psutil.pids():
        try:
            found |= held(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # it has just ended
            continue
    return found
