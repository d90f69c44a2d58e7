"""Lines of calls, as a reader of logs gets them."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import grpc
import pytest
import structlog

from earshot.runtime import logs
from earshot.runtime.calls import Call, Stage

Setup = Callable[[str], io.BytesIO]


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    """Sets up logging at a level; gives what is written."""
    file = io.BytesIO()

    def configure(level: str) -> io.BytesIO:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=file))
        logs.configure(level, "stt", "pod-1")
        return file

    yield configure
    structlog.reset_defaults()
    logs._bound.clear()
    logs._calls.clear()


def _call() -> Call:
    return Call(
        method="Recognize", request_id="r-1", code=grpc.StatusCode.OK, stages={Stage.QUEUE: 0.00123456}
    )


async def test_the_line_of_a_call_has_what_every_line_has(set_up: Setup) -> None:
    written = set_up("info")
    logs.logger().info("engine")
    logs.log_call(_call(), 0.25)
    logs.flush()
    other, line = (json.loads(line) for line in written.getvalue().splitlines())
    assert other.keys() <= line.keys()
    assert len(line["timestamp"]) == len(other["timestamp"])
    assert line["timestamp"][-1] == other["timestamp"][-1] == "Z"
    assert (line["event"], line["level"], line["service"], line["replica"]) == (
        "call",
        "info",
        "stt",
        "pod-1",
    )
    assert (line["seconds"], line["stages"], line["code"]) == (0.25, {"queue": 0.0012}, "OK")
    assert "trace_id" not in line


@pytest.mark.parametrize(("level", "count"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
async def test_calls_are_information(set_up: Setup, level: str, count: int) -> None:
    written = set_up(level)
    logs.log_call(_call(), 0.25)
    logs.flush()
    assert len(written.getvalue().splitlines()) == count


async def test_calls_that_end_together_are_written_together(set_up: Setup) -> None:
    written = set_up("info")
    for _ in range(3):
        logs.log_call(_call(), 0.25)
    assert not written.getvalue()
    while not written.getvalue():
        await asyncio.sleep(0.01)
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["call"] * 3
