"""What callers say and write is in no log line, no metric and no error, whatever happens to it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from earshot.gen.v1 import audio_pb2, classification_pb2, speech_pb2
from earshot.runtime import logs
from earshot.stt import responses
from earshot.stt.transcriber import Recognition
from tests.rpc import clips
from tests.rpc.conftest import Running, Start

CANARY = "canary"
TEXTS = "/earshot.v1.ZeroShotClassifier"
SPEECH = "/earshot.v1.SpeechToText"
Config = classification_pb2.ClassificationConfig
Path = Callable[[Running], Awaitable[object]]

# Sound that spells the word, in the samples and after them.
SOUND = clips.wav_of((CANARY * 100).encode()) + CANARY.encode()
SPOKEN = audio_pb2.RecognitionFeatures(phrase_hints=[CANARY])
LABELS = Config(
    candidate_labels=[f"{CANARY} one", f"{CANARY} two"], label_descriptions={f"{CANARY} one": f"a {CANARY}"}
)
TEXT = classification_pb2.TextInput(text=f"the {CANARY} writes")


def _recognize(**fields: Any) -> Path:
    return lambda service: service.speech.Recognize(speech_pb2.RecognizeRequest(**fields))


def _classify(config: Config = LABELS, *texts: Any) -> Path:
    request = classification_pb2.ClassifyRequest(inputs=texts or [TEXT], config=config)
    return lambda service: service.texts.Classify(request)


def _hear(config: Config = LABELS, content: bytes = SOUND) -> Path:
    request = classification_pb2.ClassifySpeechRequest(content=content, classification_config=config)
    return lambda service: service.texts.ClassifySpeech(request)


def _raw(path: str) -> Path:
    """A message that is none."""

    async def send(service: Running) -> object:
        return await service.channel.unary_unary(path)(f"\xff{CANARY}".encode("latin-1"))

    return send


def _left(path: Path) -> Path:
    """A caller that does not wait."""

    async def leave(service: Running) -> object:
        call: Any = path(service)
        await asyncio.sleep(0.05)
        call.cancel()
        return await call

    return leave


def _with(config: Config, **fields: Any) -> Config:
    changed = Config()
    changed.CopyFrom(config)
    changed.MergeFrom(Config(**fields))
    return changed


SPEECH_PATHS: dict[str, tuple[str, Path, str]] = {
    "heard": ("echo", _recognize(content=SOUND), "OK"),
    "hints that it cannot take": (
        "echo",
        _recognize(content=SOUND, config={"features": SPOKEN}),
        "INVALID_ARGUMENT",
    ),
    "not audio": ("echo", _recognize(content=f"{CANARY} ".encode() * 99), "INVALID_ARGUMENT"),
    "broken audio": ("echo", _recognize(content=b"fLaC" + CANARY.encode() * 99), "INVALID_ARGUMENT"),
    "engine fails": ("crash", _recognize(content=SOUND), "INTERNAL"),
    "engine dies": ("abort", _recognize(content=SOUND), "INTERNAL"),
    "engine answers nonsense": ("misshapen", _recognize(content=SOUND), "INTERNAL"),
    "caller leaves": ("slow", _left(_recognize(content=SOUND)), "CANCELLED"),
    "no message": ("echo", _raw(f"{SPEECH}/Recognize"), "INVALID_ARGUMENT"),
}
TEXT_PATHS: dict[str, tuple[str, Path, str]] = {
    "scored": ("fake", _classify(), "OK"),
    "labels twice": (
        "fake",
        _classify(_with(LABELS, candidate_labels=[f"{CANARY} one"])),
        "INVALID_ARGUMENT",
    ),
    "template that it cannot take": (
        "fake",
        _classify(_with(LABELS, hypothesis_template=f"{CANARY} {{}}")),
        "INVALID_ARGUMENT",
    ),
    "description of no label": (
        "fake",
        _classify(_with(LABELS, label_descriptions={f"no {CANARY}": "x"})),
        "INVALID_ARGUMENT",
    ),
    "label too long": (
        "fake",
        _classify(_with(LABELS, candidate_labels=[CANARY * 200])),
        "INVALID_ARGUMENT",
    ),
    "engine fails": ("crash", _classify(), "INTERNAL"),
    "engine dies": ("abort", _classify(), "INTERNAL"),
    "engine answers nonsense": ("misshapen", _classify(), "INTERNAL"),
    "caller leaves": ("slow", _left(_classify()), "CANCELLED"),
    "no message": ("fake", _raw(f"{TEXTS}/Classify"), "INVALID_ARGUMENT"),
    "speech": ("fake", _hear(), "OK"),
    "speech, engine fails": ("crash", _hear(), "INTERNAL"),
    "speech that is none": ("fake", _hear(content=f"{CANARY} ".encode() * 99), "INVALID_ARGUMENT"),
}


async def _outcome(path: Path, service: Running) -> tuple[str, str]:
    """The status, and all that an error says."""
    try:
        await path(service)
    except grpc.aio.AioRpcError as exc:
        return exc.code().name, f"{exc.details()} {exc.trailing_metadata()!r}"
    except asyncio.CancelledError:
        return "CANCELLED", ""
    return "OK", ""


async def _metrics(service: Running) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics") as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


def _check(captured: pytest.CaptureFixture[str], *texts: str) -> None:
    out, err = captured.readouterr()
    assert '"event":"ready"' in out  # the log is where we look
    for text in (out, err, *texts):
        assert CANARY not in text.lower()


@pytest.mark.parametrize("name", SPEECH_PATHS)
async def test_of_speech(name: str, start_speech: Start, logged: pytest.CaptureFixture[str]) -> None:
    model, path, expected = SPEECH_PATHS[name]
    async with start_speech(model) as service:
        code, said = await _outcome(path, service)
        figures = await _metrics(service)
    assert code == expected, said
    _check(logged, said, figures)


async def test_of_a_fault_of_our_own(
    start_speech: Start, logged: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(recognition: Recognition) -> None:
        raise RuntimeError(recognition.transcript.text)

    monkeypatch.setattr(responses, "results", fail)
    async with start_speech("echo") as service:
        code, said = await _outcome(_recognize(content=SOUND), service)
        figures = await _metrics(service)
    assert code == "INTERNAL", said
    _check(logged, said, figures)


@pytest.mark.parametrize("name", TEXT_PATHS)
async def test_of_texts(
    name: str, start_speech: Start, start_texts: Start, logged: pytest.CaptureFixture[str]
) -> None:
    model, path, expected = TEXT_PATHS[name]
    async with (
        start_speech("echo") as hearing,
        start_texts(model, speech_target=f"127.0.0.1:{hearing.port}") as service,
    ):
        code, said = await _outcome(path, service)
        figures = await _metrics(service) + await _metrics(hearing)
    assert code == expected, said
    _check(logged, said, figures)


def test_libraries_log_in_our_form_and_without_their_words(logged: pytest.CaptureFixture[str]) -> None:
    try:
        int(CANARY)  # "invalid literal for int(): 'canary'"
    except ValueError:
        logging.getLogger("some.library").exception("failed on %s", CANARY)
    line = json.loads(logged.readouterr().out)
    assert (line["event"], line["logger"], line["level"]) == ("library", "some.library", "error")
    assert line["kind"] == "ValueError"
    assert "int(CANARY)" in line["frames"]
    assert line["at"].startswith("test_no_content.py:")


@pytest.mark.parametrize("stream", ["log", "stderr"])
def test_the_looking_finds_what_is_there(stream: str, logged: pytest.CaptureFixture[str]) -> None:
    logs.logger().debug("ready", text=f"a {CANARY}" if stream == "log" else "")
    sys.stderr.write(CANARY if stream == "stderr" else "")
    with pytest.raises(AssertionError, match=CANARY):
        _check(logged)
