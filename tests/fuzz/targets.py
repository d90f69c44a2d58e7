"""What must hold of any bytes: an answer, or an error of ours that names the field. Nothing else, ever."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError, Message
from pydantic import ValidationError

from earshot import errors
from earshot.audio.decoding import decode
from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import AudioLimits, LiveLimits
from earshot.audio.live import LiveDecoder
from earshot.classification import position as scored_position
from earshot.classification import requests as classification_requests
from earshot.classification import types as texts
from earshot.classification.labels import LabelConfig, LabelLimits, cut_of, label_sets
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.runtime.seals import KeyRing, Seals
from earshot.stt import requests, types
from earshot.stt.settings import SpeechSettings
from earshot.stt.streaming import position
from earshot.stt.streaming import requests as streaming_requests

Parsed = TypeVar("Parsed", bound=Message)

LIMITS: Final = AudioLimits(max_seconds=20.0)
FORMATS: Final = (AudioFormat(), *(AudioFormat(encoding, 16_000, 1) for encoding in Encoding))
SPEECH_MODEL: Final = types.ModelInfo("m", "fuzz", ("en", "de"), (types.Feature.PHRASE_HINTS,), version="1")
TEXT_MODEL: Final = texts.ModelInfo("m", "fuzz", ("en",), tuple(texts.Feature), version="1")
RING: Final = KeyRing(None)
ANY_SEALS: Final = Seals(RING, "fuzz", msgspec.Raw, 60.0, "config.token")
SEALS: Final = Seals(RING, "fuzz", position.Position, 60.0, "config.token")
SCORED_SEALS: Final = Seals(RING, "fuzz", scored_position.Position, 60.0, "config.token")


def audio(data: bytes) -> None:
    """A recording; its first byte says how it is said to be encoded."""
    stated = FORMATS[data[0] % len(FORMATS)] if data else FORMATS[0]
    heard: list[int] = []
    try:
        decode(data[1:], stated, LIMITS, lambda block: heard.append(block.size))
    except errors.InvalidArgumentError as error:
        assert error.reason.startswith("AUDIO_") or "MISMATCH" in error.reason, error.reason
        assert error.field.startswith(("content", "config.")), error.field
    assert sum(heard) <= LIMITS.max_seconds * 16_000


def live(data: bytes) -> None:
    """A stream; its first two bytes say how it is encoded and where it is cut."""
    stated, size = (FORMATS[data[0] % len(FORMATS)], 1 + data[1] * 8) if len(data) > 1 else (FORMATS[0], 1)
    decoder = LiveDecoder(stated, LiveLimits())
    try:
        for at in range(2, len(data), size):
            decoder.push(data[at : at + size])
        decoder.finish()
    except errors.InvalidArgumentError as error:
        assert error.field.startswith(("audio.content", "config.")), error.field
    finally:
        decoder.close()


def tokens(data: bytes) -> None:
    """A resume token as it comes, and content that was sealed and is of no version of ours."""
    config = speech_pb2.StreamingRecognitionConfig(resume_token=data.decode("latin-1"))
    scored = classification_pb2.StreamingClassifySpeechConfig(resume_token=config.resume_token)
    _refused(lambda: position.opened(config, "m", SEALS), config.resume_token)
    _refused(lambda: scored_position.opened(scored, SCORED_SEALS), config.resume_token)
    config.resume_token = scored.resume_token = ANY_SEALS.seal(msgspec.Raw(data))
    _refused(lambda: position.opened(config, "m", SEALS), "x")
    _refused(lambda: scored_position.opened(scored, SCORED_SEALS), "x")


def _refused(work: Callable[[], object], token: str) -> None:
    try:
        work()
    except errors.InvalidArgumentError as error:
        assert error.reason.startswith("RESUME_TOKEN_")
        return
    assert not token, "a token that nobody sealed was taken"


def labels(data: bytes) -> None:
    """Labels, descriptions and a template out of one text, a line each."""
    lines = data.decode("utf-8", errors="replace").split("\n")
    middle = len(lines) // 2
    config = LabelConfig(
        candidate_labels=lines[:middle],
        label_descriptions=dict.fromkeys(lines[middle:], "what it is"),
        hypothesis_template=lines[-1] if "{" in lines[-1] else "",
        multi_label=len(data) % 2 == 0,
        top_k=len(data) % 5 or None,
        threshold=(len(data) % 7) / 4 or None,
    )
    try:
        sets = label_sets([(), lines], config, LabelLimits())
        cut_of(config)
    except errors.InvalidArgumentError as error:
        assert error.field
        return
    for made in sets:
        assert len(made.given) == len(made.options.labels)
        assert all(label == label.strip() != "" for label in made.options.labels)
        assert len({label.casefold() for label in made.options.labels}) == len(made.given)


def messages(data: bytes) -> None:
    """A message of each kind, whatever it parses to, as far as the front process takes it apart."""
    speech = _parsed(speech_pb2.RecognizeRequest, data)
    stream = _parsed(speech_pb2.StreamingRecognizeRequest, data)
    classify = _parsed(classification_pb2.ClassifyRequest, data)
    steps: list[Callable[[], object]] = []
    if speech:
        steps.append(lambda: requests.audio_format(speech.config))
        steps.append(lambda: requests.options(speech.config, SPEECH_MODEL))
    if stream:
        steps.append(lambda: streaming_requests.order(stream.streaming_config, SPEECH_MODEL, 60.0))
        steps.append(lambda: streaming_requests.chunk(stream))
        steps.append(lambda: position.opened(stream.streaming_config, "m", SEALS))
    if classify:
        steps.append(lambda: classification_requests.classify_questions(classify, TEXT_MODEL, LabelLimits()))
        steps.append(
            lambda: classification_requests.speech_question(classify.config, TEXT_MODEL, LabelLimits())
        )
    for step in steps:
        try:
            step()
        except errors.InvalidArgumentError as error:
            assert error.field, error.message


def _parsed(kind: type[Parsed], data: bytes) -> Parsed | None:
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


def config(data: bytes) -> None:
    """Settings, and the file of keys, as an operator might have it."""
    text = data.decode("utf-8", errors="replace")
    names = list(SpeechSettings.model_fields)
    name = names[len(data) % len(names)]
    try:
        SpeechSettings(**{name: text})
    except ValidationError as error:
        assert error.errors()[0]["loc"][0] == name
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            keys = KeyRing(Path(file.name)).keys
        except errors.FailedPreconditionError:
            return
        assert keys
        assert min(map(len, keys)) >= 16


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    one.__name__: one for one in (audio, live, tokens, labels, messages, config)
}


def everything(data: bytes) -> None:
    """The target that the first byte says, for a run that is short."""
    every = list(TARGETS.values())
    every[data[0] % len(every) if data else 0](data[1:])
