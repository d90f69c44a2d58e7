"""The classification service, over the wire, hearing through a real speech-to-text service."""

from __future__ import annotations

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import audio_pb2, classification_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc import clips
from tests.rpc.conftest import Start, free_port

Config = classification_pb2.ClassificationConfig
Text = classification_pb2.TextInput


def _request(*texts: str, **config: object) -> classification_pb2.ClassifyRequest:
    labels = {"candidate_labels": ["a", "bbb"]}
    return classification_pb2.ClassifyRequest(
        inputs=[Text(text=text) for text in texts],
        config=Config(**(labels | config)),  # type: ignore[arg-type]
    )


async def _refusal(call: object) -> errors.EarshotError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc_error(caught.value)


def _scores(result: classification_pb2.ClassificationResult) -> list[tuple[str, float]]:
    return [(one.label, round(one.score, 4)) for one in result.labels]


async def test_texts_are_scored_in_their_order(start_texts: Start) -> None:
    async with start_texts() as service:
        request = _request("one", "two")
        request.inputs[1].candidate_labels.extend(["dd", "cc"])
        response = await service.texts.Classify(request)
        assert [_scores(result) for result in response.results] == [
            [("bbb", 0.75), ("a", 0.25)],
            [("dd", 0.5), ("cc", 0.5)],
        ]
        assert response.metadata.billed_characters == 6
        assert response.metadata.selection.engine == "fake"
        assert response.metadata.replica == "cls-test"
        assert response.metadata.latency.inference.ToNanoseconds() > 0


async def test_top_k_threshold_and_descriptions(start_texts: Start) -> None:
    async with start_texts() as service:
        top = await service.texts.Classify(_request("x", top_k=1))
        assert _scores(top.results[0]) == [("bbb", 0.75)]
        none = await service.texts.Classify(_request("x", threshold=0.9))
        assert none.results[0].none_of_these
        assert not none.results[0].labels
        described = await service.texts.Classify(_request("x", label_descriptions={"a": "nine chars"}))
        assert _scores(described.results[0])[0][0] == "a"
        many = await service.texts.Classify(_request("x", multi_label=True))
        assert _scores(many.results[0]) == [("bbb", 1.0), ("a", 0.3333)]


REFUSED = [
    ("no labels", _request("x", candidate_labels=[]), "config.candidate_labels"),
    ("one label", _request("x", candidate_labels=["a"]), "config.candidate_labels"),
    (
        "many labels",
        _request("x", candidate_labels=[str(n) for n in range(10_000)]),
        "config.candidate_labels",
    ),
    ("blank label", _request("x", candidate_labels=["a", " "]), "config.candidate_labels[1]"),
    ("doubled label", _request("x", candidate_labels=["a", "b", "A "]), "config.candidate_labels[2]"),
    ("template", _request("x", hypothesis_template="no place"), "config.hypothesis_template"),
    ("template of a model without", _request("x", hypothesis_template="{}!"), "config.hypothesis_template"),
    ("top_k", _request("x", top_k=0), "config.top_k"),
    ("threshold", _request("x", threshold=float("nan")), "config.threshold"),
    ("empty text", _request("x", " "), "inputs[1].text"),
    ("text of 1 MB", _request("x" * 1_000_000), "inputs[0].text"),
    ("no texts", _request(), "inputs"),
    ("answer of 2 MB", _request("x", "y", candidate_labels=["a" + " " * 1_000_000, "b"]), "inputs"),
    ("model", _request("x", model="other"), "config.model"),
]


@pytest.mark.parametrize(
    ("request_", "field"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_bad_requests_are_refused_by_field(
    start_texts: Start, request_: classification_pb2.ClassifyRequest, field: str
) -> None:
    async with start_texts() as service:
        error = await _refusal(service.texts.Classify(request_))
        assert isinstance(error, errors.InvalidArgumentError)
        assert error.field == field
        assert (await service.texts.Classify(_request("still here"))).results


def _speech(content: bytes, **config: object) -> classification_pb2.ClassifySpeechRequest:
    return classification_pb2.ClassifySpeechRequest(
        content=content,
        classification_config=Config(**({"candidate_labels": ["a", "bbb"]} | config)),  # type: ignore[arg-type]
    )


async def test_speech_is_heard_then_scored(start_speech: Start, start_texts: Start) -> None:
    async with start_speech() as ears, start_texts(speech_target=f"127.0.0.1:{ears.port}") as service:
        response = await service.texts.ClassifySpeech(_speech(clips.wav(1.0)))
        assert response.transcript == "heard 16000"
        assert _scores(response.classification) == [("bbb", 0.75), ("a", 0.25)]
        assert response.recognition_metadata.replica == "stt-test"
        assert response.classification_metadata.replica == "cls-test"
        assert response.classification_metadata.latency.upstream.ToNanoseconds() > 0
        assert response.classification_metadata.billed_characters == len("heard 16000")


async def test_silence_is_none_of_the_labels(start_speech: Start, start_texts: Start) -> None:
    async with start_speech() as ears, start_texts(speech_target=f"127.0.0.1:{ears.port}") as service:
        response = await service.texts.ClassifySpeech(_speech(clips.wav_of(bytes(32_000))))
        assert response.classification.none_of_these
        assert not response.classification.labels
        assert response.transcript == ""


async def test_refusals_of_the_other_service_name_this_ones_fields(
    start_speech: Start, start_texts: Start
) -> None:
    async with start_speech() as ears, start_texts(speech_target=f"127.0.0.1:{ears.port}") as service:
        bad = _speech(clips.wav(0.5))
        bad.recognition_config.CopyFrom(audio_pb2.RecognitionConfig(language_code="fr"))
        error = await _refusal(service.texts.ClassifySpeech(bad))
        assert isinstance(error, errors.InvalidArgumentError)
        assert error.field == "recognition_config.language_code"
        error = await _refusal(service.texts.ClassifySpeech(_speech(b"no audio")))
        assert error.field == "content"
        error = await _refusal(service.texts.ClassifySpeech(_speech(b"no audio", candidate_labels=[])))
        assert error.field == "classification_config.candidate_labels", "labels are checked first"


async def test_what_is_left_of_the_deadline_goes_on(start_speech: Start, start_texts: Start) -> None:
    async with (
        start_speech("slow") as ears,
        start_texts(speech_target=f"127.0.0.1:{ears.port}", max_request_seconds=0.3) as service,
    ):
        error = await _refusal(service.texts.ClassifySpeech(_speech(clips.wav(0.5))))
        assert isinstance(error, errors.DeadlineExceededError)


async def test_without_ears_speech_is_unavailable_and_texts_go_on(start_texts: Start) -> None:
    async with start_texts(speech_target=f"127.0.0.1:{free_port()}") as service:
        error = await _refusal(service.texts.ClassifySpeech(_speech(clips.wav(0.5))))
        assert isinstance(error, errors.UnavailableError)
        assert (await service.texts.Classify(_request("x"))).results


async def test_models_are_listed_with_those_that_it_hears_with(
    start_speech: Start, start_texts: Start
) -> None:
    request = classification_pb2.ZeroShotClassifierListModelsRequest()
    async with start_speech() as ears, start_texts(speech_target=f"127.0.0.1:{ears.port}") as service:
        response = await service.texts.ListModels(request)
        assert [model.name for model in response.models] == ["fake"]
        assert [model.name for model in response.speech_models] == ["fake"]
        limits = response.models[0].limits
        assert (limits.max_labels, limits.max_scores, limits.max_answer_bytes) == (1000, 100_000, 2**20)
        assert response.models[0].fallback_reason
    async with start_texts(speech_target=f"127.0.0.1:{free_port()}") as service:
        response = await service.texts.ListModels(request)
        assert len(response.models) == 1
        assert not response.speech_models
