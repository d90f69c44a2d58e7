"""stream and listen against a service that keeps the protocol, over the wire."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from earshot.cli import stream_output
from earshot.cli.errors import ExitCode
from earshot.client import (
    Classification,
    Final,
    Interim,
    Labels,
    LabelScore,
    Reconnecting,
    Resumed,
    Segment,
    StreamResult,
    Summary,
)
from earshot.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from tests.rpc.client.streaming_service import RATE, Break, Service, serving, spoken, words
from tests.unit.cli.conftest import Run
from tests.unit.client.streaming.test_microphone import Device

RAW = ("--encoding", "linear16", "--sample-rate", "16000")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with serving(Service()) as running:
        monkeypatch.setenv("EARSHOT_TARGET", running.target)
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(spoken(3))
    return path


def _lines(seconds: int) -> str:
    return "".join(f"{word}\n" for word in words(seconds))


def test_a_file_as_plain_lines(run: Run, service: Service, clip: Path) -> None:
    result = run("stream", str(clip))

    assert (result.exit_code, result.stdout, result.stderr) == (0, _lines(3), "")
    assert not service.connections[0].config.streaming_features.interim_results


def test_standard_input(run: Run, service: Service) -> None:
    result = run("stream", "-", *RAW, input=spoken(2))

    assert (result.exit_code, result.stdout) == (0, _lines(2))


def test_a_break_is_told_and_nothing_is_lost(run: Run, service: Service, clip: Path) -> None:
    service.then(Break(2, UnavailableError("gone")))

    result = run("stream", str(clip))

    assert (result.exit_code, result.stdout) == (0, _lines(3))
    (line,) = result.stderr.splitlines()
    assert line.startswith("earshot: the connection broke (gone): trying again in ")


def test_json_lines(run: Run, service: Service, clip: Path) -> None:
    service.then(Break(2, UnavailableError("gone", reason="AWAY")))

    result = run("stream", str(clip), "--json", "--words", "--events")

    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    finals = [each for each in events if each["event"] == "final"]
    assert [each["segment"]["text"] for each in finals] == words(3)
    assert finals[1]["segment"]["words"] == [{"text": "w2", "start": 1.0, "end": 2.0, "confidence": None}]
    broken = next(each for each in events if each["event"] == "reconnecting")
    assert (broken["attempt"], broken["cause"]["reason"]) == (1, "AWAY")
    assert {"interim", "speech_started", "resumed"} <= {each["event"] for each in events}
    end = events[-1]
    assert (end["event"], end["text"], end["complete"]) == ("summary", "w1 w2 w3", True)


def test_no_interims_where_none_are_wanted(run: Run, service: Service, clip: Path) -> None:
    run("stream", str(clip), "--json", "--no-interim")

    assert not service.connections[0].config.streaming_features.interim_results


def test_labels(run: Run, service: Service, clip: Path) -> None:
    options = ["--labels", "a,b", "--label", "c, d", "--label-model", "nli", "--model", "tiny"]
    result = run("stream", str(clip), *options)

    assert result.stdout.splitlines()[:2] == ["w1", "\ta 0.75"]
    config = service.connections[0].config
    assert list(config.classification_config.candidate_labels) == ["a", "b", "c, d"]
    assert config.classification_config.model == "nli"
    assert config.recognition_config.model == "tiny"


def test_the_options_are_sent(run: Run, service: Service, clip: Path) -> None:
    codec = ["--codec", "flac", "--end-silence", "0.5", "--max-segment", "20"]
    run("stream", str(clip), "--language", "de", "--translate", "--hint", "one", *codec)

    config = service.connections[0].config
    explicit = config.config.explicit_decoding_config
    assert explicit.encoding == explicit.AUDIO_ENCODING_FLAC
    assert (config.config.language_code, config.config.task) == ("de", config.config.TASK_TRANSLATE)
    assert list(config.config.features.phrase_hints) == ["one"]
    assert config.streaming_features.endpointing.end_silence.ToNanoseconds() == 500_000_000
    assert config.streaming_features.endpointing.max_segment.seconds == 20


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidArgumentError("no such language", field="config.language_code"), ExitCode.REFUSED),
        (ResourceExhaustedError("full"), ExitCode.LIMITED),
    ],
)
def test_what_befell_the_stream_is_the_exit_code(
    run: Run, service: Service, clip: Path, error: Any, code: int
) -> None:
    service.then(Break(0, error))

    result = run("stream", str(clip))

    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert error.message in line


def test_no_such_file(run: Run, service: Service) -> None:
    result = run("stream", "no-such.wav")

    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "earshot: there is no file no-such.wav\n"


def test_ctrl_c_ends_with_what_was_heard(service: Service) -> None:
    command = [sys.executable, "-m", "earshot.cli", "stream", "-", *RAW]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(spoken(3)[:-RATE])  # two seconds and a half
    process.stdin.flush()
    heard = [process.stdout.readline(), process.stdout.readline()]

    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=30)

    assert (heard, rest) == ([b"w1\n", b"w2\n"], b"w3\n")
    assert said == b"earshot: ending; Ctrl-C again ends at once\n"
    assert process.returncode == ExitCode.INTERRUPTED


def test_ctrl_c_twice_ends_at_once(service: Service, clip: Path) -> None:
    service.then(Break(1, silent=True))
    process = subprocess.Popen(
        [sys.executable, "-m", "earshot.cli", "stream", str(clip)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    while not (service.connections and service.connections[0].numbers):
        os.sched_yield()

    process.send_signal(signal.SIGINT)
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=30)

    assert first == b"earshot: ending; Ctrl-C again ends at once\n"
    assert process.returncode == ExitCode.INTERRUPTED
    assert output[1] == b""


def test_listen(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unplugged(Device):
        """Says two seconds, and then Ctrl-C is pressed."""

        def __enter__(self) -> Any:
            content = spoken(2)
            for at in range(0, len(content), 1_600):
                self.says(content[at : at + 1_600], lost=at == 0)
            return self

    class Pressed(stream_output.PlainLines):
        def event(self, event: Any) -> None:
            super().event(event)
            if isinstance(event, Final) and event.text == "w2":
                os.kill(os.getpid(), signal.SIGINT)

    device = Unplugged()
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(stream_output, "chosen", lambda **_: Pressed())

    result = run("listen", "--device", "3")

    assert (result.exit_code, result.stdout) == (0, _lines(2))
    assert device.asked["device"] == 3
    assert "lost samples 1 times" in result.stderr


def test_listen_without_the_library(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)

    result = run("listen")

    assert result.exit_code == ExitCode.FAILED
    assert "pip install '.[mic]' in the checkout" in result.stderr


def test_the_screen_draws_interims_dim_finals_firm_and_labels_as_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rich.console import Console  # noqa: PLC0415

    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, color_system="truecolor", width=80)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    scores = Classification(labels=(LabelScore("refund", 0.75), LabelScore("praise", 0.25)))
    screen = stream_output.Screen()

    def redrawn(event: Any) -> str:
        drawn.seek(0)
        drawn.truncate()
        screen.event(event)
        screen._live.refresh()
        return drawn.getvalue()

    with screen:
        interim = redrawn(Interim("I want", "my", 0.0, 1.0))
        assert "\x1b[2mI want\x1b[0m" in interim
        assert "\x1b[2;3mmy\x1b[0m" in interim
        final = redrawn(Final(segment=Segment("I want my [bold]money[/bold]", 0.0, 2.0)))
        assert "I want my [bold]money[/bold]\n" in final
        assert "\x1b[2mI want" not in final
        labels = redrawn(Labels(None, scores, is_final=True))
        assert "█" * 15 in labels
        assert "0.75" in labels
        broken = redrawn(Reconnecting(1, UnavailableError("gone"), 0.5))
        assert "the connection broke (gone)" in broken
        assert "the connection broke" not in redrawn(Resumed(2.0)).rsplit("praise", 1)[-1]
        screen.note("ending; Ctrl-C again ends at once")
        assert "ending; Ctrl-C again ends at once" in redrawn(Interim("", "so", 2.0, 3.0))
        screen.finish(StreamResult([], scores, Summary(12.0, 8.0, 1, complete=True)))
    assert "12.0 s heard, 8.0 s of it speech" in drawn.getvalue()


def test_none_of_these_has_no_bar_that_counts() -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console(file=io.StringIO(), width=80)
    with console.capture() as drawn:
        console.print(stream_output.bars(Classification(none_of_these=True)))

    assert "none of these" in drawn.get()
