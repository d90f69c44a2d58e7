"""The edge of the classification service: messages in, messages out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc

from earshot import errors
from earshot.classification import requests, responses, streaming
from earshot.classification.classifier import Classifier, Scored
from earshot.classification.labels import LabelLimits
from earshot.classification.position import TOKEN_FIELD, Position
from earshot.classification.ranking import NOTHING_SAID
from earshot.classification.settings import ClassificationSettings
from earshot.classification.transcripts import Transcripts
from earshot.classification.types import ModelInfo
from earshot.gen.v1 import audio_pb2, classification_pb2, classification_pb2_grpc, speech_pb2
from earshot.quotas.meter import Meter
from earshot.quotas.types import Unit
from earshot.rpc import compression
from earshot.rpc.codecs import codec_of
from earshot.rpc.deadlines import deadline_of
from earshot.rpc.limits import LONG_CLIP, check_message
from earshot.rpc.streams import first_config
from earshot.rpc.wire import duration
from earshot.runtime import calls
from earshot.runtime.allowed_models import AllowedModels
from earshot.runtime.calls import Stage
from earshot.runtime.draining import Draining, gone
from earshot.runtime.seals import KeyRing, Seals

_Context = grpc.aio.ServicerContext[Any, Any]
_NOT_SCORED: Final = Scored([], 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ServicerOptions:
    """What the edge must know beside the core."""

    replica: str
    fallback_reason: str  # why the engine is not the preferred one; empty where it is
    limits: LabelLimits
    max_message_bytes: int
    max_request_seconds: float
    allowed: AllowedModels

    @classmethod
    def of(cls, settings: ClassificationSettings, fallback_reason: str) -> ServicerOptions:
        """The part of the settings that concerns the edge."""
        return cls(
            replica=settings.replica,
            fallback_reason=fallback_reason,
            limits=settings.label_limits,
            max_message_bytes=settings.max_message_bytes,
            max_request_seconds=settings.max_request_seconds,
            allowed=AllowedModels(settings.models_file),
        )


@dataclass(frozen=True, slots=True)
class Streams:
    """What streams are to the replica. Times in seconds."""

    draining: Draining
    seals: Seals[Position]
    share: float  # of a worker
    idle: float  # without the config
    connection: float  # the longest
    leave: float  # between being told to go and being closed

    @classmethod
    def of(cls, settings: ClassificationSettings, draining: Draining) -> Streams:
        """The part of the settings that concerns streams."""
        keys, lifetime = KeyRing(settings.resume_keys_file), settings.resume_token_seconds
        return cls(
            draining=draining,
            seals=Seals(keys, "StreamingClassifySpeech", Position, lifetime, TOKEN_FIELD),
            share=settings.stream_share,
            idle=settings.stream_idle_seconds,
            connection=settings.max_stream_seconds,
            leave=settings.drain_seconds,
        )


class ZeroShotClassifierServicer(classification_pb2_grpc.ZeroShotClassifierServicer):
    """Answers ``earshot.v1.ZeroShotClassifier``; errors are translated by the interceptor."""

    def __init__(
        self,
        classifier: Classifier,
        transcripts: Transcripts,
        meter: Meter,
        streams: Streams,
        options: ServicerOptions,
    ) -> None:
        self._classifier, self._transcripts, self._meter = classifier, transcripts, meter
        self._streams, self._options = streams, options

    async def Classify(  # noqa: N802 - the method's name in the proto
        self, request: classification_pb2.ClassifyRequest, context: _Context
    ) -> classification_pb2.ClassifyResponse:
        """Texts against labels."""
        started = time.monotonic()
        deadline = deadline_of(context, self._options.max_request_seconds)
        model = self._allowed_model()
        size = self._size("inputs", "send the texts in several requests")
        questions = requests.classify_questions(request, model, self._options.limits)
        texts = [text.text for text in request.inputs]
        asked = [question.about(text) for question, text in zip(questions, texts, strict=True)]
        with self._classifier.admission.permit(size):
            async with self._paying(
                model, sum(map(len, texts)), request.SerializeToString(deterministic=True)
            ):
                scored = await self._classifier.classify(asked, deadline)
        answers = [question.answer(one) for question, one in zip(questions, scored.scores, strict=True)]
        response = classification_pb2.ClassifyResponse(
            results=[responses.result(answer) for answer in answers],
            metadata=self._metadata(model, scored, sum(map(len, texts)), time.monotonic() - started),
        )
        if calls.current().wants_gzip:
            await compression.compress_answer(context)
        return response

    async def ClassifySpeech(  # noqa: N802 - the method's name in the proto
        self, request: classification_pb2.ClassifySpeechRequest, context: _Context
    ) -> classification_pb2.ClassifySpeechResponse:
        """Speech against labels; the labels are checked first: they are cheap."""
        started = time.monotonic()
        deadline = deadline_of(context, self._options.max_request_seconds)
        model = self._allowed_model()
        call, content = calls.current(), request.content  # a copy, each time that it is asked for
        call.codec = codec_of(request.recognition_config, content)
        size = self._size("content", LONG_CLIP)
        question = requests.speech_question(request.classification_config, model, self._options.limits)
        await self._meter.check(Unit.CHARACTERS, content)
        with self._classifier.admission.permit(size):
            heard = await self._transcripts.recognize(request.recognition_config, content, deadline)
            heard_after = time.monotonic() - started
            call.spend(Stage.UPSTREAM, heard_after)
            transcript = responses.said(heard.results)
            async with (
                self._heard(heard, content),
                self._paying(model, len(transcript), content),
            ):
                scored, answer = await self._score(question, transcript, deadline)
        metadata = self._metadata(model, scored, len(transcript), time.monotonic() - started)
        metadata.latency.upstream.CopyFrom(duration(heard_after))
        return classification_pb2.ClassifySpeechResponse(
            results=heard.results,
            transcript=transcript,
            classification=answer,
            recognition_metadata=heard.metadata,
            classification_metadata=metadata,
        )

    async def StreamingClassifySpeech(  # noqa: N802 - the method's name in the proto
        self,
        request_iterator: AsyncIterator[classification_pb2.StreamingClassifySpeechRequest],
        context: _Context,
    ) -> AsyncIterator[classification_pb2.StreamingClassifySpeechResponse]:
        """Live or long audio against labels, as it comes."""
        model = self._allowed_model()
        config = await first_config(request_iterator, self._streams.idle)
        session = streaming.Session(self._scoring(model), config)
        if self._streams.draining.is_on:
            raise gone()
        with self._classifier.admission.permit(0, self._streams.share):
            async with contextlib.aclosing(session.replies(request_iterator)) as replies:
                async for reply in replies:
                    yield reply

    def _paying(self, model: ModelInfo, characters: int, content: bytes) -> AbstractAsyncContextManager[None]:
        return self._meter.paying(Unit.CHARACTERS, model.name, characters, content)

    @contextlib.asynccontextmanager
    async def _heard(self, heard: speech_pb2.RecognizeResponse, content: bytes) -> AsyncIterator[None]:
        """What has been paid for hearing ``content`` is given back where nothing comes of it."""
        try:
            yield
        except BaseException:
            await self._meter.take_back_done(Unit.AUDIO, heard.metadata.selection.model, content)
            raise

    def _scoring(self, model: ModelInfo) -> streaming.Scoring:
        return streaming.Scoring(
            classifier=self._classifier,
            transcripts=self._transcripts,
            meter=self._meter,
            model=model.name,
            draining=self._streams.draining,
            seals=self._streams.seals,
            ask=lambda config, field: requests.speech_question(config, model, self._options.limits, field),
            describe=partial(self._metadata, model),
            request_seconds=self._options.max_request_seconds,
            connection=self._streams.connection,
            leave=self._streams.leave,
        )

    async def ListModels(  # noqa: N802 - the method's name in the proto
        self, request: classification_pb2.ZeroShotClassifierListModelsRequest, context: _Context
    ) -> classification_pb2.ZeroShotClassifierListModelsResponse:
        """The model that this replica serves, and those that it hears with: those that the caller may use."""
        options, served = self._options, self._model()
        model = responses.model(served, options.fallback_reason, options.limits, options.max_message_bytes)
        shown = [model] if options.allowed.admit(served.name) else []
        heard_with = await self._transcripts.models()
        return classification_pb2.ZeroShotClassifierListModelsResponse(models=shown, speech_models=heard_with)

    def _model(self) -> ModelInfo:
        model = self._classifier.model
        if model is None:
            raise errors.FailedPreconditionError("the model is still loading", reason="MODEL_NOT_LOADED")
        return model

    def _allowed_model(self) -> ModelInfo:
        """The one that answers, and that the caller may use."""
        model = self._model()
        self._options.allowed.check(model.name)
        return model

    def _size(self, field: str, advice: str) -> int:
        """Of the request, in bytes."""
        size = calls.current().received_bytes
        check_message(size, self._options.max_message_bytes, field, advice)
        return size

    async def _score(
        self, question: requests.Question, transcript: str, deadline: float
    ) -> tuple[Scored, classification_pb2.ClassificationResult]:
        """The scores of what was said; no label is right for silence."""
        if not transcript:
            return _NOT_SCORED, responses.result(NOTHING_SAID)
        scored = await self._classifier.classify([question.about(transcript)], deadline)
        return scored, responses.result(question.answer(scored.scores[0]))

    def _metadata(
        self, model: ModelInfo, scored: Scored, characters: int, total: float
    ) -> classification_pb2.ClassificationMetadata:
        selection = audio_pb2.ModelSelection(
            model=model.name, engine=model.engine, fallback_reason=self._options.fallback_reason
        )
        latency = audio_pb2.LatencyBreakdown(
            queue=duration(scored.queue_seconds),
            inference=duration(scored.inference_seconds),
            total=duration(total),
        )
        return classification_pb2.ClassificationMetadata(
            selection=selection,
            latency=latency,
            billed_characters=characters,
            replica=self._options.replica,
        )
