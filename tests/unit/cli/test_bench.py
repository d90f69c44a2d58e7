"""``earshot bench`` against a scripted service."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from earshot.cli.errors import ExitCode
from earshot.errors import ResourceExhaustedError
from tests.rpc.client.scripted import Script, heard, heard_and_scored, scored
from tests.unit.cli.conftest import Run


def test_by_default_the_packages_own_recordings_and_texts_go(run: Run, script: Script) -> None:
    script.then(*[heard()] * 4, *[scored({"a": 1.0})] * 3)  # the first of each, uncounted

    result = run("bench", "--calls", "1", "--json")

    assert [call.method for call in script.calls[:7]] == ["Recognize"] * 4 + ["Classify"] * 3
    assert len(script.calls) == 8
    assert json.loads(result.stdout)["kinds"][0]["answered"] in {0, 1}


def test_json_tells_all(run: Run, script: Script) -> None:
    script.always = heard("hello")

    result = run("bench", script.target, "--mix", "recognize", "--calls", "5", "--concurrency", "2", "--json")

    report = json.loads(result.stdout)
    (kind,) = report["kinds"]
    assert (kind["answered"], kind["errors"], kind["changed"]) == (5, {}, 0)
    assert set(kind["latency"]) == {"p50", "p90", "p95", "p99", "max"}
    assert result.exit_code == ExitCode.OK


def test_own_files_and_texts(run: Run, script: Script, tmp_path: Path) -> None:
    clip, lines = tmp_path / "a.wav", tmp_path / "texts.txt"
    clip.write_bytes(b"my clip")
    lines.write_text("first text\n\nsecond text\n")
    script.then(heard(), scored({"x": 1.0}), scored({"x": 1.0}), *[scored({"x": 1.0}, {"x": 1.0})] * 2)
    script.always = heard()

    given = ["--audio", str(clip), "--texts-file", str(lines), "--labels", "x,y", "--texts-per-call", "1,2"]
    run("bench", "--mix", "recognize=1,classify=1", "--calls", "0", "--seconds", "0.1", *given)

    requests = [call.request for call in script.calls]
    assert requests[0].content == b"my clip"
    assert [[one.text for one in request.inputs] for request in requests[1:5]] == [
        ["first text"],
        ["second text"],
        ["first text"] * 2,
        ["second text"] * 2,
    ]


def test_what_was_measured_is_shown_when_it_is_ended_early(run: Run, script: Script) -> None:
    script.always = heard("hello")
    script.calls.clear()

    def end() -> None:
        while len(script.calls) < 20:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(end)
        result = run("bench", "--mix", "recognize", "--seconds", "600", "--json")
        ending.result()

    report = json.loads(result.stdout)
    assert report["kinds"][0]["answered"] > 0
    assert report["seconds"] < 600
    assert result.exit_code == ExitCode.INTERRUPTED


def test_speech_is_scored_too(run: Run, script: Script) -> None:
    script.always = heard_and_scored("hello", {"a": 1.0})

    result = run("bench", "--mix", "classify-speech", "--labels", "a,b", "--calls", "2", "--json")

    assert json.loads(result.stdout)["kinds"][0]["kind"] == "classify-speech"
    assert list(script.calls[0].request.classification_config.candidate_labels) == ["a", "b"]


def test_failures_are_told_by_status_and_end_with_an_error(run: Run, script: Script) -> None:
    script.then(*[heard()] * 4, ResourceExhaustedError("full", retry_after=0.1))
    script.always = heard()

    result = run("bench", "--mix", "recognize", "--calls", "3", "--concurrency", "1")

    assert "RESOURCE_EXHAUSTED 1" in result.stdout
    assert "2 answered and 1 failed" in result.stdout
    assert result.exit_code == ExitCode.FAILED


def test_other_words_than_at_first_are_told(run: Run, script: Script) -> None:
    script.then(*[heard("first")] * 4)
    script.always = heard("other")

    result = run("bench", "--mix", "recognize", "--calls", "3")

    assert "3 answers were not what the same input was answered at first" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--mix", "sing=1"], "sing=1"),
        (["--mix", "recognize=x"], "recognize=x"),
        (["--mix", "recognize=0"], "nothing has a weight"),
        (["--texts-per-call", "0"], "--texts-per-call"),
        (["--texts-per-call", "1,many"], "--texts-per-call"),
    ],
)
def test_wrong_usage(run: Run, script: Script, arguments: list[str], says: str) -> None:
    result = run("bench", *arguments)

    assert result.exit_code == ExitCode.USAGE
    assert says in result.stderr


def test_the_key_goes_with_every_call(run: Run, script: Script) -> None:
    script.always = heard()

    result = run("bench", "--mix", "recognize", "--calls", "2", "--api-key", "a-key")

    assert result.exit_code == ExitCode.OK
    assert {call.metadata["x-api-key"] for call in script.calls} == {"a-key"}


def test_nobody_there(run: Run) -> None:
    result = run("bench", "127.0.0.1:1", "--timeout", "5")

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "no service at 127.0.0.1:1" in result.stderr


def test_own_texts_need_labels(run: Run, script: Script, tmp_path: Path) -> None:
    lines = tmp_path / "texts.txt"
    lines.write_text("a text\n")

    result = run("bench", "--mix", "classify", "--texts-file", str(lines))

    assert result.exit_code == ExitCode.USAGE
    assert "own texts need labels" in result.stderr
