"""JSON lines on standard output, one an event; never a transcript, a text, a label or audio."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, cast

import msgspec
import structlog

from earshot.runtime.calls import Call

_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)

REQUEST_ID: Final[contextvars.ContextVar[str]] = contextvars.ContextVar("request_id", default="")


_bound: Final[list[structlog.typing.FilteringBoundLogger]] = []  # one; none before it is set up
_calls: Final[list[_CallLog]] = []  # one; none before it is set up, and where calls are not logged


def configure(level: str, service: str, replica: str) -> None:
    """Sets up logging for this process; call once, before anything logs."""
    least, lines = logging.getLevelNamesMapping()[level.upper()], _Steady(sys.stdout.buffer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_encoded),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", lines)),
    )
    # Bound once: to put a logger together costs as much as the line that it writes.
    _bound[:] = [structlog.get_logger().bind(service=service, replica=replica)]
    _calls[:] = [_CallLog(lines, service, replica)] if least <= logging.INFO else []
    logging.basicConfig(handlers=[_Strangers()], level=logging.WARNING, force=True)


class _Steady:
    """A file that fails nobody: with its disk full, lines are lost and calls are not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._file.write(data)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()


class _CallLine(msgspec.Struct):
    """The line of a call. Made and encoded whole: by way of structlog it would take twice as long, and
    there is one for each call.
    """

    service: str
    replica: str
    method: str
    code: str
    reason: str
    client: str
    seconds: float
    stages: dict[str, float]
    audio_seconds: float
    codec: str
    received_bytes: int
    sent_bytes: int
    request_id: str
    timestamp: datetime
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    event: str = "call"
    level: str = "info"


class _CallLog:
    """Writes the lines of calls in one go: whoever writes lets go of the interpreter's lock, and to get it
    back costs more than all else about a line.
    """

    def __init__(self, lines: _Steady, service: str, replica: str) -> None:
        self._lines, self._service, self._replica = lines, service, replica

    def write(self, calls: Iterable[Call]) -> None:
        lines = [_ENCODER.encode(self._line(call)) for call in calls]
        self._lines.write(b"\n".join((*lines, b"")))
        self._lines.flush()

    def _line(self, call: Call) -> _CallLine:
        return _CallLine(
            self._service,
            self._replica,
            call.method,
            call.code.name,
            call.reason,
            call.client,
            round(call.seconds, 4),
            {stage.value: round(spent, 4) for stage, spent in call.stages.items()},
            round(call.audio_seconds, 3),
            call.codec,
            call.received_bytes,
            call.sent_bytes,
            call.request_id,
            datetime.fromtimestamp(call.ended_at, UTC),
            call.trace_id if call.trace else msgspec.UNSET,
        )


class _Strangers(logging.Handler):
    """What libraries log, as lines like ours: who, where and what kind of error. Not their words, which may
    hold what a caller sent.
    """

    def emit(self, record: logging.LogRecord) -> None:
        kind, error, frames = None, None, ""
        if record.exc_info:
            kind, error, _ = record.exc_info
            frames = "".join(traceback.format_tb(error.__traceback__)) if error else ""
        logger().log(
            record.levelno,
            "library",
            logger=record.name,
            at=f"{record.filename}:{record.lineno}",
            kind=kind.__name__ if kind else "",
            frames=frames,
        )


def logger() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    bound: structlog.typing.FilteringBoundLogger = _bound[0] if _bound else structlog.get_logger()
    return bound


def _encoded(line: dict[str, Any], **_: object) -> bytes:
    return _ENCODER.encode(line)


def log_calls(ended: Iterable[Call]) -> None:
    """A line of each call that has ended; its ``stages`` are in seconds, as all of it."""
    for log in _calls:
        log.write(ended)
