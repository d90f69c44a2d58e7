"""Formats, exit codes, subtitles and bars, without a service."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass

import pytest

from earshot.cli import errors, output, progress, subtitles
from earshot.cli.errors import ExitCode
from earshot.cli.options import TranscriptOutput
from earshot.client import Segment
from earshot.errors import EarshotError, InvalidArgumentError, OutOfRangeError, ResourceExhaustedError

BAD, LONG = InvalidArgumentError("bad"), OutOfRangeError("long")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Point:
    at: float
    inside: tuple[object, ...] = ()


@pytest.mark.parametrize(
    ("wanted", "as_json", "terminal", "expected"),
    [
        (None, False, True, "table"),
        (None, False, False, "txt"),
        (TranscriptOutput.SRT, False, True, "srt"),
        (TranscriptOutput.SRT, True, True, "json"),
    ],
)
def test_the_format(
    monkeypatch: pytest.MonkeyPatch,
    wanted: TranscriptOutput | None,
    as_json: bool,
    terminal: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal() if terminal else io.StringIO())

    assert output.chosen(wanted, as_json, TranscriptOutput) == expected


def test_json_of_dataclasses() -> None:
    data = {"p": Point(0.1 + 0.2, (Point(1.0), "x", None, [0.9499999880790710]))}

    assert output.plain(data) == {"p": {"at": 0.3, "inside": [{"at": 1.0, "inside": []}, "x", None, [0.95]]}}


@pytest.mark.parametrize(
    ("failures", "inputs", "code"),
    [
        ([], 2, ExitCode.OK),
        ([BAD], 1, ExitCode.REFUSED),
        ([BAD, BAD], 2, ExitCode.REFUSED),
        ([BAD], 2, ExitCode.FAILED),
        ([BAD, LONG], 2, ExitCode.FAILED),
        ([LONG], 1, ExitCode.LIMITED),
    ],
)
def test_the_exit_code_of_several_inputs(failures: list[EarshotError], inputs: int, code: ExitCode) -> None:
    assert errors.code_of_all(failures, inputs) is code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidArgumentError("is\n unknown", field="config.model"), "config.model: is unknown"),
        (InvalidArgumentError("config.model is unknown", field="config.model"), "config.model is unknown"),
        (InvalidArgumentError("the audio is empty", field="content"), "the audio is empty"),
        (ResourceExhaustedError("full", retry_after=1.25), "full (try again in 1.2 s)"),
    ],
)
def test_an_error_is_one_line(error: EarshotError, line: str) -> None:
    assert errors.describe(error) == line


def test_subtitles_of_a_long_recording() -> None:
    segments = [Segment("one", 0.0, 1.9996), Segment("  ", 2, 3), Segment("two\n\nlines", 3599.5, 36061.25)]

    assert subtitles.srt(segments) == (
        "1\n00:00:00,000 --> 00:00:02,000\none\n\n2\n00:59:59,500 --> 10:01:01,250\ntwo lines\n"
    )
    assert subtitles.vtt(segments).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\none\n\n00:59:59.500")
    assert subtitles.vtt([]) == "WEBVTT\n"
    assert subtitles.srt([]) == ""


def test_a_bar_is_shown_on_a_terminal_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "PATIENCE", 0.0)

    with progress.bar("pulling", None, in_bytes=True) as advance:
        advance(5_000, 10_000)
        while "5.0/10.0 kB" not in terminal.getvalue():
            time.sleep(0.01)

    assert "pulling" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO, True), (Terminal, False)])
def test_no_bar_in_a_pipe_or_where_it_would_disturb(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], shown: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", target := stream())
    monkeypatch.setattr(progress, "PATIENCE", 0.0)

    with progress.bar("pulling", 10, shown=shown) as advance:
        advance(5)

    assert target.getvalue() == ""


def test_no_bar_for_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "PATIENCE", 3600.0)

    with progress.bar("pulling", 10) as advance:
        advance(10)

    assert terminal.getvalue() == ""
