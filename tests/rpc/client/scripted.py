"""Both services with answers from a script, on a real port."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message

from earshot.errors import EarshotError, InternalError, UnimplementedError
from earshot.gen.v1 import (
    classification_pb2,
    classification_pb2_grpc,
    models_pb2,
    speech_pb2,
    speech_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)
from earshot.rpc import status
from earshot.rpc.wire import duration


class Never:
    """An answer that does not come before the caller's deadline."""


Answer = Message | EarshotError | Never


@dataclass
class Call:
    """What came in with one attempt."""

    method: str
    request: Any
    metadata: dict[str, str]
    time_left: float  # seconds


@dataclass
class Script:
    """Answers in order; when they have run out, ``always``, else a fault."""

    answers: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    calls: list[Call] = field(default_factory=list)
    target: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def then(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.calls.append(Call(method, request, metadata, context.time_remaining() or 0.0))
        answer = self.answers.popleft() if self.answers else self.always
        if isinstance(answer, Never):
            self.stopping.wait(30)
        if isinstance(answer, Message):
            return answer
        error = (
            answer if isinstance(answer, EarshotError) else InternalError("the script has no more answers")
        )
        context.abort_with_status(status.to_grpc_status(error))
        return None


class SpeechToText(speech_pb2_grpc.SpeechToTextServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def Recognize(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("Recognize", request, context)

    def StreamingRecognize(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        context.abort_with_status(status.to_grpc_status(UnimplementedError("not here")))

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("SpeechToText.ListModels", request, context)


class ZeroShotClassifier(classification_pb2_grpc.ZeroShotClassifierServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("Classify", request, context)

    def ClassifySpeech(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("ClassifySpeech", request, context)

    def StreamingClassifySpeech(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        context.abort_with_status(status.to_grpc_status(UnimplementedError("not here")))

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("ZeroShotClassifier.ListModels", request, context)


class Usage(usage_pb2_grpc.UsageServicer):
    def __init__(self, script: Script) -> None:
        self._script = script

    def GetUsage(self, request: Any, context: Any) -> Any:  # noqa: N802
        return self._script.answer("GetUsage", request, context)


@contextmanager
def served(script: Script) -> Iterator[Script]:
    """The script behind a free port of this machine."""
    server = grpc.server(
        ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 80 * 1024 * 1024)]
    )
    speech_pb2_grpc.add_SpeechToTextServicer_to_server(SpeechToText(script), server)
    classification_pb2_grpc.add_ZeroShotClassifierServicer_to_server(ZeroShotClassifier(script), server)
    usage_pb2_grpc.add_UsageServicer_to_server(Usage(script), server)
    script.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield script
    finally:
        script.stopping.set()
        server.stop(None).wait()


def heard(text: str = "hello world") -> speech_pb2.RecognizeResponse:
    """An answer to Recognize with every field set; no text: nothing was heard."""
    response = speech_pb2.RecognizeResponse()
    if text:
        result = response.results.add(is_final=True, language_code="en")
        result.result_start_offset.CopyFrom(duration(0.5))
        result.result_end_offset.CopyFrom(duration(2.25))
        result.alternatives.add(transcript=text, confidence=0.75)
        for number, word in enumerate(text.split()):
            spoken = result.alternatives[0].words.add(word=word, confidence=0.5)
            spoken.start_offset.CopyFrom(duration(0.5 + number))
            spoken.end_offset.CopyFrom(duration(1.5 + number))
    metadata = response.metadata
    metadata.selection.model, metadata.selection.engine = "tiny", "whisper"
    metadata.selection.fallback_reason = "no weights"
    metadata.latency.decode.CopyFrom(duration(0.01))
    metadata.latency.total.CopyFrom(duration(0.25))
    metadata.audio_duration.CopyFrom(duration(3.5))
    metadata.billed_duration.CopyFrom(duration(4))
    metadata.replica = "stt-1"
    return response


def scored(*texts: dict[str, float]) -> classification_pb2.ClassifyResponse:
    """An answer to Classify: for each text its labels and scores; none: none of these."""
    response = classification_pb2.ClassifyResponse()
    for scores in texts:
        result = response.results.add(none_of_these=not scores)
        for label, score in scores.items():
            result.labels.add(label=label, score=score)
    response.metadata.selection.model, response.metadata.selection.engine = "minilm", "embedding"
    response.metadata.billed_characters = 12
    response.metadata.replica = "classification-1"
    return response


def heard_and_scored(text: str, scores: dict[str, float]) -> classification_pb2.ClassifySpeechResponse:
    """An answer to ClassifySpeech."""
    speech, labels = heard(text), scored(scores)
    return classification_pb2.ClassifySpeechResponse(
        results=speech.results,
        transcript=text,
        classification=labels.results[0],
        recognition_metadata=speech.metadata,
        classification_metadata=labels.metadata,
    )


def speech_models() -> speech_pb2.SpeechToTextListModelsResponse:
    """One speech model, with a feature that this client does not know."""
    model = models_pb2.Model(name="tiny", engine="whisper", is_default=True, sample_rate_hertz=16000)
    model.language_codes.extend(["en", "de", "fr", "it", "es", "pt"])
    model.features.extend([models_pb2.MODEL_FEATURE_WORD_TIME_OFFSETS, 99])  # type: ignore[list-item]
    model.limits.max_audio_duration.CopyFrom(duration(600))
    model.limits.max_message_bytes = 1024
    return speech_pb2.SpeechToTextListModelsResponse(models=[model])


def text_models() -> classification_pb2.ZeroShotClassifierListModelsResponse:
    """One text model."""
    model = models_pb2.Model(name="minilm", engine="embedding", fallback_reason="no NLI weights")
    return classification_pb2.ZeroShotClassifierListModelsResponse(models=[model])


def used() -> usage_pb2.GetUsageResponse:
    """An answer to GetUsage: one record, which is also the total, and one quota."""
    record = usage_pb2.UsageRecord(client="acme", day="2026-11-25", model="tiny", calls=3, characters=12)
    record.audio_duration.CopyFrom(duration(90.5))
    record.cost.currency_code, record.cost.units, record.cost.nanos = "EUR", 1, 250_000_000
    quota = usage_pb2.QuotaState(quota="audio_seconds_per_day", limit=3600, used=90.5)
    quota.reset_time.FromJsonString("2026-11-26T00:00:00Z")
    return usage_pb2.GetUsageResponse(records=[record], total=record, quotas=[quota])
