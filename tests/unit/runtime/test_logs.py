"""Lines of calls, as a reader of logs gets them."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace

import grpc
import pytest
import structlog

from earshot.runtime import logs
from earshot.runtime.book import Book
from earshot.runtime.calls import Call, Stage
from earshot.runtime.metrics import Metrics

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
        method="Recognize",
        request_id="r-1",
        code=grpc.StatusCode.OK,
        seconds=0.25,
        ended_at=1_800_000_000.25,
        stages={Stage.QUEUE: 0.00123456},
    )


async def test_the_line_of_a_call_has_what_every_line_has(set_up: Setup) -> None:
    written = set_up("info")
    logs.logger().info("engine")
    logs.log_calls([_call()])
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
    logs.log_calls([_call()])
    assert len(written.getvalue().splitlines()) == count


async def test_calls_that_end_together_are_counted_and_written_together(set_up: Setup) -> None:
    written, metrics = set_up("info"), Metrics("stt")
    book = Book(metrics)

    def counted() -> float | None:
        labels = {"component": "stt", "method": "Recognize", "code": "OK", "client": "other"}
        return metrics.registry.get_sample_value("earshot_requests_total", labels)

    ended = [_call() for _ in range(3)]
    for call in ended:
        book.add(call)
    assert not written.getvalue()
    assert not counted()
    while not written.getvalue():
        await asyncio.sleep(0.01)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["call"] * 3
    assert counted() == 3
    moments = [datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines]
    assert moments == pytest.approx([call.ended_at for call in ended], rel=0, abs=1e-6), "of their ends"


async def test_at_the_end_nothing_waits(set_up: Setup) -> None:
    written = set_up("info")
    book = Book(Metrics("stt"))
    book.add(_call())
    book.settle()
    assert len(written.getvalue().splitlines()) == 1
    book.settle()
    assert len(written.getvalue().splitlines()) == 1
