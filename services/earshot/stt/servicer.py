"""The edge of the speech-to-text service: messages in, messages out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc

from earshot import errors
from earshot.gen.v1 import audio_pb2, models_pb2, speech_pb2, speech_pb2_grpc
from earshot.rpc.codecs import codec_of
from earshot.rpc.deadlines import deadline_of
from earshot.rpc.limits import LONG_CLIP, check_message
from earshot.rpc.wire import duration
from earshot.runtime import calls
from earshot.runtime.allowed_models import AllowedModels
from earshot.stt import requests, responses
from earshot.stt.settings import SpeechSettings
from earshot.stt.streaming.service import Streams
from earshot.stt.transcriber import Recognition, Transcriber
from earshot.stt.types import ModelInfo, Rules

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ServicerOptions:
    """What the edge must know beside the core."""

    replica: str
    fallback_reason: str  # why the engine is not the preferred one; empty where it is
    max_message_bytes: int
    max_request_seconds: float
    max_audio_seconds: float
    rules: Rules
    allowed: AllowedModels

    @classmethod
    def of(cls, settings: SpeechSettings, fallback_reason: str) -> ServicerOptions:
        """The part of the settings that concerns the edge."""
        return cls(
            replica=settings.replica,
            fallback_reason=fallback_reason,
            max_message_bytes=settings.max_message_bytes,
            max_request_seconds=settings.max_request_seconds,
            max_audio_seconds=settings.max_audio_seconds,
            rules=settings.rules,
            allowed=AllowedModels(settings.models_file),
        )


class SpeechToTextServicer(speech_pb2_grpc.SpeechToTextServicer):
    """Answers ``earshot.v1.SpeechToText``; errors are translated by the interceptor."""

    def __init__(self, transcriber: Transcriber, streams: Streams, options: ServicerOptions) -> None:
        self._transcriber, self._streams, self._options = transcriber, streams, options

    async def Recognize(  # noqa: N802 - the method's name in the proto
        self, request: speech_pb2.RecognizeRequest, context: _Context
    ) -> speech_pb2.RecognizeResponse:
        """One clip, whole."""
        started = time.monotonic()
        model = self._allowed_model()
        call, content = calls.current(), request.content  # a copy, each time that it is asked for
        call.codec = codec_of(request.config, content)
        check_message(call.received_bytes, self._options.max_message_bytes, "content", LONG_CLIP)
        recognition = await self._transcriber.transcribe(
            content,
            requests.audio_format(request.config),
            requests.options(request.config, model, self._options.rules),
            deadline_of(context, self._options.max_request_seconds),
        )
        metadata = self._metadata(model, recognition, time.monotonic() - started)
        return speech_pb2.RecognizeResponse(results=responses.results(recognition), metadata=metadata)

    async def StreamingRecognize(  # noqa: N802 - the method's name in the proto
        self, request_iterator: AsyncIterator[speech_pb2.StreamingRecognizeRequest], context: _Context
    ) -> AsyncIterator[speech_pb2.StreamingRecognizeResponse]:
        """Live or long audio, as it comes."""
        model = self._allowed_model()
        answers = self._streams.answer(request_iterator, model, self._selection(model))
        async with contextlib.aclosing(answers) as messages:
            async for message in messages:
                yield message

    async def ListModels(  # noqa: N802 - the method's name in the proto
        self, request: speech_pb2.SpeechToTextListModelsRequest, context: _Context
    ) -> speech_pb2.SpeechToTextListModelsResponse:
        """The one model that this replica serves, where the caller may use it."""
        limits = models_pb2.RequestLimits(
            max_audio_duration=duration(self._options.max_audio_seconds),
            max_message_bytes=self._options.max_message_bytes,
        )
        served = self._model()
        model = responses.model(served, self._options.fallback_reason, limits)
        shown = [model] if self._options.allowed.admit(served.name) else []
        return speech_pb2.SpeechToTextListModelsResponse(models=shown)

    def _model(self) -> ModelInfo:
        model = self._transcriber.model
        if model is None:
            raise errors.FailedPreconditionError("the model is still loading", reason="MODEL_NOT_LOADED")
        return model

    def _allowed_model(self) -> ModelInfo:
        """The one that answers, and that the caller may use."""
        model = self._model()
        self._options.allowed.check(model.name)
        return model

    def _selection(self, model: ModelInfo) -> audio_pb2.ModelSelection:
        return audio_pb2.ModelSelection(
            model=model.name, engine=model.engine, fallback_reason=self._options.fallback_reason
        )

    def _metadata(
        self, model: ModelInfo, recognition: Recognition, total: float
    ) -> audio_pb2.RecognitionMetadata:
        return audio_pb2.RecognitionMetadata(
            selection=self._selection(model),
            latency=responses.latency(recognition, total),
            audio_duration=duration(recognition.audio_seconds),
            billed_duration=duration(recognition.audio_seconds),
            replica=self._options.replica,
        )
