"""transcribe, classify, classify-speech and models against a scripted service, over the wire."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earshot.cli.errors import ExitCode
from earshot.errors import (
    DeadlineExceededError,
    EarshotError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    QuotaExceededError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from tests.rpc.client.scripted import (
    Never,
    Script,
    heard,
    heard_and_scored,
    scored,
    speech_models,
    text_models,
)
from tests.unit.cli.conftest import Run, Spawn


def _clip(folder: Path, name: str = "a.wav") -> str:
    path = folder / name
    path.write_bytes(name.encode())
    return str(path)


def test_transcribe_one_file_as_plain_text(run: Run, script: Script, tmp_path: Path) -> None:
    script.always = heard("hello [bold]world[/bold]")

    result = run("transcribe", _clip(tmp_path))

    assert (result.exit_code, result.stdout, result.stderr) == (0, "hello [bold]world[/bold]\n", "")


def test_transcribe_a_folder_in_order(run: Run, script: Script, clips: Path) -> None:
    script.always = heard("words")

    result = run("transcribe", str(clips))

    assert [call.request.content for call in script.calls] != []
    assert result.stdout.splitlines() == [
        f"{clips}/a.MP3: words",
        f"{clips}/b.wav: words",
        f"{clips}/deep/c.flac: words",
    ]


def test_the_order_is_kept_whatever_comes_first(spawn: Spawn, script: Script, tmp_path: Path) -> None:
    files = [_clip(tmp_path, f"{number}.wav") for number in range(6)]
    # The first is refused at once and comes again much later than the others.
    script.then(ResourceExhaustedError("full", retry_after=0.5), *(heard("words") for _ in range(6)))

    lines = spawn("transcribe", *files, "--concurrency", "2").stdout.decode().splitlines()

    assert lines == [f"{file}: words" for file in files]


def test_transcribe_standard_input(run: Run, script: Script) -> None:
    script.always = heard("piped")

    result = run("transcribe", "-", input=b"\x00\xffaudio")

    assert result.stdout == "piped\n"
    assert script.calls[0].request.content == b"\x00\xffaudio"


def test_transcribe_sends_the_options(run: Run, script: Script, tmp_path: Path) -> None:
    script.always = heard()

    arguments = [
        "--model",
        "tiny",
        "--language",
        "de",
        "--words",
        "--translate",
        "--hint",
        "one",
        "--hint",
        "two",
    ]
    raw = ["--encoding", "mulaw", "--sample-rate", "8000", "--channels", "2", "--timeout", "7"]
    run("transcribe", _clip(tmp_path), *arguments, *raw)

    config = script.calls[0].request.config
    explicit = config.explicit_decoding_config
    assert (config.model, config.language_code, config.task) == ("tiny", "de", config.TASK_TRANSLATE)
    assert config.features.enable_word_time_offsets
    assert list(config.features.phrase_hints) == ["one", "two"]
    assert (explicit.sample_rate_hertz, explicit.audio_channel_count) == (8000, 2)
    assert explicit.encoding == explicit.AUDIO_ENCODING_MULAW
    assert 0 < script.calls[0].time_left < 7.5


@pytest.mark.parametrize("command", [["transcribe"], ["classify-speech", "--labels", "a,b"]])
def test_clips_are_sent_by_the_codec_that_is_asked_for(run: Run, script: Script, command: list[str]) -> None:
    script.then(heard() if command[0] == "transcribe" else heard_and_scored("hello", {"a": 1.0}))
    raw = ["--encoding", "linear16", "--sample-rate", "16000", "--codec", "opus:16k"]

    result = run(*command, "-", *raw, input=bytes(64_000))

    assert result.exit_code == ExitCode.OK
    assert script.calls[0].request.content[:4] == b"OggS"


@pytest.mark.parametrize("flag", [["--json"], ["--output", "json"], ["--json", "--output", "srt"]])
def test_transcribe_json(run: Run, script: Script, tmp_path: Path, flag: list[str]) -> None:
    script.always = heard("hello world")
    clip = _clip(tmp_path)

    (data,) = json.loads(run("transcribe", clip, *flag).stdout)

    assert (data["input"], data["text"], data["language"]) == (clip, "hello world", "en")
    assert (data["engine"], data["replica"], data["latency"]["total"]) == ("whisper", "stt-1", 0.25)
    assert data["segments"][0]["words"][1] == {"text": "world", "start": 1.5, "end": 2.5, "confidence": 0.5}


def test_transcribe_jsonl_has_a_line_for_each_input_also_the_failed(
    run: Run, script: Script, tmp_path: Path
) -> None:
    script.always = heard("words")

    result = run("transcribe", str(tmp_path / "no.wav"), _clip(tmp_path), "-o", "jsonl")

    failed, good = (json.loads(line) for line in result.stdout.splitlines())
    assert failed["error"]["reason"] == "NO_SUCH_FILE"
    assert good["text"] == "words"
    assert result.exit_code == ExitCode.FAILED


def test_transcribe_table(run: Run, script: Script, tmp_path: Path) -> None:
    script.always = heard("hello [bold]world[/bold]")

    output = run("transcribe", _clip(tmp_path), "-o", "table").stdout

    assert "words heard" in output
    assert all(
        cell in output for cell in ("hello [bold]world[/bold]", "en", "3.50 s", "0.25 s", "whisper", "stt-1")
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("srt", "1\n00:00:00,500 --> 00:00:02,250\na <b> c\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.500 --> 00:00:02.250\na &lt;b&gt; c\n\n"),
    ],
)
def test_transcribe_subtitles(run: Run, script: Script, tmp_path: Path, form: str, text: str) -> None:
    script.always = heard("a <b>  c")

    assert run("transcribe", _clip(tmp_path), "-o", form).stdout == text


def test_subtitles_are_for_one_input(run: Run, script: Script, clips: Path) -> None:
    result = run("transcribe", str(clips), "-o", "srt")

    assert result.exit_code == ExitCode.USAGE
    assert "srt is for one input, and there are 3" in result.stderr


def test_one_bad_file_stops_no_other(run: Run, script: Script, tmp_path: Path) -> None:
    script.always = heard("words")
    good, empty = _clip(tmp_path), tmp_path / "empty.wav"
    empty.touch()

    result = run("transcribe", str(empty), good, str(tmp_path / "no.wav"))

    assert result.exit_code == ExitCode.FAILED
    assert result.stdout == f"{good}: words\n"
    assert result.stderr.splitlines() == [
        f"earshot: {empty}: the audio is empty",
        f"earshot: {tmp_path}/no.wav: there is no file {tmp_path}/no.wav",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("gone"), 3),
        (DeadlineExceededError("late"), 3),
        (InvalidArgumentError("no such language", field="config.language_code"), 4),
        (NotFoundError("no such model"), 4),
        (UnauthenticatedError("who are you"), 4),
        (PermissionDeniedError("not you"), 4),
        (UnimplementedError("not yet"), 4),
        (OutOfRangeError("too long"), 5),
        (ResourceExhaustedError("full"), 5),
        (QuotaExceededError("used up"), 5),
        (FailedPreconditionError("not loaded"), 1),
        (InternalError("a fault"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EarshotError) else str(value),
)
def test_what_befell_the_only_input_is_the_exit_code(
    run: Run, script: Script, tmp_path: Path, error: EarshotError, code: int
) -> None:
    script.always = error

    result = run("transcribe", _clip(tmp_path))

    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert error.message in line
    assert error.field in line


def test_a_service_that_is_not_there(spawn: Spawn, tmp_path: Path) -> None:
    files = [_clip(tmp_path, f"{number}.wav") for number in range(40)]

    result = spawn("transcribe", *files, "--target", "127.0.0.1:1", "--json")

    assert result.returncode == ExitCode.UNAVAILABLE
    assert json.loads(result.stdout) == []
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("earshot: no service at 127.0.0.1:1: ")
    assert line.endswith("name it by --target; one that wants TLS is reached with --ca")


def test_classify_texts_and_lines_of_standard_input(spawn: Spawn, script: Script) -> None:
    script.then(scored({"a": 0.9, "b, c": 0.1}), scored({"b, c": 0.8}), scored({}))

    arguments = ["first text", "-", "--labels", "a", "--label", "b, c", "--concurrency", "1"]
    result = spawn("classify", *arguments, input=b"second \xc3\xa9\n\n  third  \n")

    assert result.stdout.decode().splitlines() == [
        "a 0.90, b, c 0.10\tfirst text",
        "b, c 0.80\tsecond \u00e9",
        "none of these\tthird",
    ]
    assert result.returncode == 0
    assert list(script.calls[0].request.config.candidate_labels) == ["a", "b, c"]


def test_classify_sends_the_options(run: Run, script: Script, tmp_path: Path) -> None:
    script.always = scored({"a": 0.9})
    labels = tmp_path / "labels.txt"
    labels.write_text("from file\n\n\u00e9\n", encoding="utf-8")

    options = ["--multi-label", "--top-k", "2", "--threshold", "0.25", "--model", "nli", "--template"]
    run("classify", "text", "--labels", " a ,b,", "--labels-file", str(labels), *options, "It is {}.")

    config = script.calls[0].request.config
    assert list(config.candidate_labels) == ["a", "b", "from file", "\u00e9"]
    assert (config.multi_label, config.top_k, config.threshold, config.model) == (True, 2, 0.25, "nli")
    assert config.hypothesis_template == "It is {}."


def test_classify_json(run: Run, script: Script) -> None:
    script.always = scored({"a": 0.7, "b": 0.3})

    (data,) = json.loads(run("classify", "text", "--labels", "a,b", "--json").stdout)

    assert data["input"] == "text"
    assert data["labels"] == [{"label": "a", "score": 0.7}, {"label": "b", "score": 0.3}]
    assert (data["engine"], data["none_of_these"]) == ("embedding", False)


@pytest.mark.parametrize("command", ["classify", "classify-speech"])
def test_labels_are_needed(run: Run, script: Script, command: str) -> None:
    result = run(command, "x", "--labels", " , ")

    assert result.exit_code == ExitCode.USAGE
    assert "--labels a,b,c" in result.stderr


def test_no_text_in_an_error(run: Run, script: Script) -> None:
    script.always = InvalidArgumentError("too long", field="inputs[0].text")

    result = run("classify", "s" * 1000, "--labels", "a,b")

    assert result.stderr == f"earshot: {'s' * 40}...: inputs[0].text: too long\n"


@pytest.mark.parametrize("form", ["txt", "table", "json"])
def test_classify_speech(run: Run, script: Script, tmp_path: Path, form: str) -> None:
    script.always = heard_and_scored("hello there", {"a": 0.9, "b": 0.1})

    result = run("classify-speech", _clip(tmp_path), "--labels", "a,b", "-o", form)

    assert result.exit_code == 0
    expected = {
        "txt": ["a 0.90, b 0.10\thello there\n"],
        "table": ["hello there", "a 0.90", "b 0.10", "whisper", "embedding", "stt-1", "classification-1"],
        "json": ['"text": "hello there"', '"label": "a"', '"score": 0.9\n', '"engine": "whisper"'],
    }[form]
    assert all(text in result.stdout for text in expected)
    assert script.calls[0].request.content == b"a.wav"


def test_models_for_programs(run: Run, script: Script) -> None:
    script.then(text_models(), speech_models(), text_models(), speech_models())

    rows = list(csv.reader(run("models").stdout.splitlines(), delimiter="\t"))
    data = json.loads(run("models", "--json").stdout)

    assert rows == [
        ["speech", "tiny", "whisper", "yes", "en +5", "word_time_offsets", ""],
        ["text", "minilm", "embedding", "", "", "", "no NLI weights"],
    ]
    assert data["speech"][0]["limits"]["max_audio_duration"] == 600
    assert data["text"][0]["name"] == "minilm"


def test_models_without_a_service(run: Run) -> None:
    result = run("models", "--target", "127.0.0.1:1")

    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr.startswith("earshot: no service at 127.0.0.1:1: ")


def test_ctrl_c_ends_at_once_and_without_a_word(script: Script, tmp_path: Path) -> None:
    script.always = Never()
    command = [sys.executable, "-m", "earshot.cli", "transcribe", _clip(tmp_path), "--target", script.target]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not script.calls:
        time.sleep(0.01)

    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=20)

    assert (process.returncode, output) == (ExitCode.INTERRUPTED, (b"", b""))
