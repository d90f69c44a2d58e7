"""What each method sends, and what it gives back."""

from __future__ import annotations

from typing import Any

import pytest

from earshot.client import LabelScore, Latency, Text
from earshot.errors import InvalidArgumentError, OutOfRangeError
from earshot.gen.v1 import audio_pb2, speech_pb2
from tests.rpc.client.conftest import Ask
from tests.rpc.client.scripted import (
    Script,
    heard,
    heard_and_scored,
    scored,
    speech_models,
    text_models,
)

AUDIO: dict[str, Any] = {
    "language": "en",
    "encoding": "mulaw",
    "sample_rate": 8000,
    "channels": 2,
    "word_offsets": True,
    "word_confidence": True,
    "phrase_hints": ("earshot", "envoy"),
    "redact": ("number", "email"),
    "profanity_filter": True,
    "translate": True,
}
LABELS: dict[str, Any] = {
    "model": "nli",
    "descriptions": {"a": "the first letter"},
    "template": "This is {}.",
    "multi_label": True,
    "top_k": 1,
    "threshold": 0.25,
}


def _check_audio(config: audio_pb2.RecognitionConfig) -> None:
    explicit = config.explicit_decoding_config
    assert config.language_code == "en"
    assert explicit.encoding == explicit.AUDIO_ENCODING_MULAW
    assert (explicit.sample_rate_hertz, explicit.audio_channel_count) == (8000, 2)
    assert config.features.enable_word_time_offsets
    assert config.features.enable_word_confidence
    assert list(config.features.phrase_hints) == ["earshot", "envoy"]
    assert list(config.features.redact) == [1, 2]
    assert config.features.profanity_filter
    assert config.task == config.TASK_TRANSLATE


def _check_labels(config: Any) -> None:
    assert config.model == "nli"
    assert list(config.candidate_labels) == ["a", "b"]
    assert dict(config.label_descriptions) == {"a": "the first letter"}
    assert config.hypothesis_template == "This is {}."
    assert config.multi_label
    assert (config.top_k, config.threshold) == (1, 0.25)


def test_recognize_sends_what_is_asked_for(ask: Ask, script: Script) -> None:
    script.always = heard()

    ask("recognize", b"audio", model="tiny", **AUDIO)

    request = script.calls[0].request
    assert request.content == b"audio"
    assert request.config.model == "tiny"
    _check_audio(request.config)


def test_recognize_by_default_lets_the_header_speak(ask: Ask, script: Script) -> None:
    script.always = heard()

    ask("recognize", b"audio")

    config = script.calls[0].request.config
    assert config.WhichOneof("decoding") == "auto_decoding_config"
    assert (config.model, config.language_code, config.task) == ("", "", config.TASK_TRANSCRIBE)


def test_recognize_gives_all_that_was_answered(ask: Ask, script: Script) -> None:
    script.always = heard("hello world")

    result = ask("recognize", b"audio")

    assert (result.text, result.language) == ("hello world", "en")
    assert (result.model, result.engine, result.fallback_reason) == ("tiny", "whisper", "no weights")
    assert result.replica == "stt-1"
    assert (result.audio_duration, result.billed_duration) == (3.5, 4.0)
    assert result.latency == Latency(decode=0.01, total=0.25)
    (segment,) = result.segments
    assert (segment.start, segment.end, segment.confidence) == (0.5, 2.25, 0.75)
    assert [(word.text, word.start, word.end, word.confidence) for word in result.words] == [
        ("hello", 0.5, 1.5, 0.5),
        ("world", 1.5, 2.5, 0.5),
    ]


def test_nothing_heard(ask: Ask, script: Script) -> None:
    script.always = heard("")

    result = ask("recognize", b"audio")

    assert (result.text, result.segments, result.words, result.language) == ("", (), (), "")


def test_no_confidence_is_none_and_not_zero(ask: Ask, script: Script) -> None:
    answer = heard("hello")
    answer.results[0].alternatives[0].ClearField("confidence")
    answer.results[0].alternatives[0].words[0].ClearField("confidence")
    script.always = answer

    result = ask("recognize", b"audio")

    assert result.segments[0].confidence is None
    assert result.words[0].confidence is None


def test_classify_one_text(ask: Ask, script: Script) -> None:
    script.always = scored({"b": 0.75, "a": 0.25})

    result = ask("classify", "a text", ["a", "b"], **LABELS)

    request = script.calls[0].request
    assert [text.text for text in request.inputs] == ["a text"]
    _check_labels(request.config)
    assert result.best == LabelScore("b", 0.75)
    assert result.labels == (LabelScore("b", 0.75), LabelScore("a", 0.25))
    assert (result.model, result.engine, result.replica) == ("minilm", "embedding", "classification-1")


def test_classify_several_texts(ask: Ask, script: Script) -> None:
    script.always = scored({"a": 0.5}, {})

    results = ask("classify", ["one", Text("two", labels=("x", "y"))], ["a", "b"])

    inputs = script.calls[0].request.inputs
    assert [(text.text, list(text.candidate_labels)) for text in inputs] == [("one", []), ("two", ["x", "y"])]
    assert len(results) == 2
    assert results[0].best == LabelScore("a", 0.5)
    assert (results[1].none_of_these, results[1].best) == (True, None)
    assert results.billed_characters == 12
    assert [result.none_of_these for result in results] == [False, True]


def test_classify_by_default_leaves_the_choice_to_the_service(ask: Ask, script: Script) -> None:
    script.always = scored({"a": 0.5})

    ask("classify", "one", ["a", "b"])

    config = script.calls[0].request.config
    assert not config.HasField("top_k")
    assert not config.HasField("threshold")


def test_classify_speech(ask: Ask, script: Script) -> None:
    script.always = heard_and_scored("hello world", {"a": 0.5})

    result = ask("classify_speech", b"audio", ["a", "b"], speech_model="tiny", **AUDIO, **LABELS)

    request = script.calls[0].request
    assert request.content == b"audio"
    assert request.recognition_config.model == "tiny"
    _check_audio(request.recognition_config)
    _check_labels(request.classification_config)
    assert result.text == "hello world"
    assert result.best == LabelScore("a", 0.5)
    assert result.labels == (LabelScore("a", 0.5),)
    assert (result.recognition.replica, result.classification.replica) == ("stt-1", "classification-1")
    assert [word.text for word in result.words] == ["hello", "world"]
    assert len(result.segments) == 1


def test_list_models_asks_both_services(ask: Ask, script: Script) -> None:
    script.then(text_models(), speech_models())

    models = ask("list_models")

    assert [model.name for model in models.text] == ["minilm"]
    assert models.text[0].fallback_reason == "no NLI weights"
    (speech,) = models.speech
    assert (speech.engine, speech.is_default, speech.sample_rate) == ("whisper", True, 16000)
    assert speech.features == ("word_time_offsets",)
    assert (speech.limits.max_audio_duration, speech.limits.max_message_bytes) == (600.0, 1024)


def test_calls_by_messages(ask: Ask, script: Script) -> None:
    script.then(heard("by message"), speech_models())
    request = speech_pb2.RecognizeRequest(content=b"audio")

    response = ask(
        "send_recognize", request, timeout=3.0, metadata={"traceparent": "00-1", "X-Request-Id": "mine"}
    )

    assert response.results[0].alternatives[0].transcript == "by message"
    assert script.calls[0].metadata["traceparent"] == "00-1"
    assert script.calls[0].metadata["x-request-id"] == "mine"
    assert 0 < script.calls[0].time_left < 3.5  # the wire rounds it
    assert ask("send_list_models").models[0].name == "tiny"


def test_who_is_calling(ask: Ask, script: Script) -> None:
    script.always = heard()

    ask("recognize", b"audio", client={"metadata": {"X-Team": "night"}})

    metadata = script.calls[0].metadata
    assert metadata["x-team"] == "night"
    assert metadata["user-agent"].startswith("earshot/")


def test_each_call_has_an_id_of_its_own(ask: Ask, script: Script) -> None:
    script.always = heard()

    ask("recognize", b"audio")
    ask("recognize", b"audio")

    assert len({call.metadata["x-request-id"] for call in script.calls}) == 2


def test_a_message_over_the_limit_is_not_sent(ask: Ask, script: Script) -> None:
    with pytest.raises(OutOfRangeError, match=r"0\.1 MiB.*FLAC") as caught:
        ask("recognize", bytes(200_000), client={"max_message_bytes": 100_000})

    assert (caught.value.reason, caught.value.field) == ("MESSAGE_TOO_LARGE", "content")
    assert not script.calls


def test_a_message_over_the_library_s_own_limit_is_sent(ask: Ask, script: Script) -> None:
    script.always = heard("large")  # gRPC's own limit is 4 MiB

    assert ask("recognize", bytes(6 * 1024 * 1024)).text == "large"


@pytest.mark.parametrize(
    ("method", "args"),
    [("recognize", (b"audio",)), ("classify", ("t", ["a"])), ("classify_speech", (b"x", ["a"]))],
)
def test_an_argument_that_is_none(ask: Ask, script: Script, method: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="'langauge'"):
        ask(method, *args, langauge="en")

    assert not script.calls


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((b"x", "a,b"), {}),
        ((b"x", ["a"]), {"phrase_hints": "earshot"}),
        ((b"x", ["a"]), {"redact": "number"}),
    ],
)
def test_one_string_is_not_a_list_of_its_letters(
    ask: Ask, script: Script, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match="list of strings"):
        ask("classify_speech", *args, **options)

    assert not script.calls


def test_what_cannot_be_taken_out(ask: Ask, script: Script) -> None:
    with pytest.raises(InvalidArgumentError, match="number, email, card, name, phone") as caught:
        ask("recognize", b"x", redact=["names"])

    assert caught.value.field == "redact"
    assert not script.calls
