"""The client for programs that wait for each answer; safe to share between threads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Event, Lock
from types import TracebackType
from typing import Self, TypeVar, Unpack, overload

import grpc
from google.protobuf.message import Message

from earshot import errors
from earshot.client import encoding, link, requests, responses, results, sources
from earshot.client import options as known
from earshot.client.aio import AsyncClient
from earshot.client.connection import Connection
from earshot.client.streaming.blocking import LoopThread, Stream
from earshot.client.streaming.stream import AsyncStream
from earshot.gen.v1 import (
    classification_pb2,
    classification_pb2_grpc,
    speech_pb2,
    speech_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)
from earshot.rpc.compression import WANTED, compression_of

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)


class Client(Connection):
    """Speech to text and zero-shot classification, behind one port.

    Every method raises from :mod:`earshot.errors`, and tries again what is worth it (``retry``).
    The keywords that a method takes are those of the TypedDict in its signature.
    """

    _streams: AsyncClient | None = None  # made by the first stream

    def recognize(
        self, source: sources.Source, **options: Unpack[known.RecognizeOptions]
    ) -> results.Recognition:
        """Writes down a clip."""
        known.check(options, known.RecognizeOptions)
        audio = self._load(source, options)
        request = requests.recognize(audio, options)
        response = self._call(self._speech.Recognize, request, options.get("timeout"))
        return responses.recognition(response)

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is a Sequence[str], and meant alone
        self, texts: str, labels: Sequence[str], **options: Unpack[known.ClassifyOptions]
    ) -> results.Classification: ...
    @overload
    def classify(
        self, texts: requests.Texts, labels: Sequence[str] = (), **options: Unpack[known.ClassifyOptions]
    ) -> results.Classifications: ...
    def classify(
        self,
        texts: str | requests.Texts,
        labels: Sequence[str] = (),
        **options: Unpack[known.ClassifyOptions],
    ) -> results.Classification | results.Classifications:
        """Scores one text, or several at once; a :class:`Text` may have labels of its own."""
        known.check(options, known.ClassifyOptions)
        request = requests.classify(texts, labels, options)
        metadata = WANTED if options.get("compress") else None
        response = self._call(self._text.Classify, request, options.get("timeout"), metadata)
        return responses.classified(response, single=isinstance(texts, str))

    def classify_speech(
        self, source: sources.Source, labels: Sequence[str], **options: Unpack[known.ClassifySpeechOptions]
    ) -> results.SpeechClassification:
        """Writes down a clip and scores what was said."""
        known.check(options, known.ClassifySpeechOptions)
        audio = self._load(source, options)
        request = requests.classify_speech(audio, labels, options)
        response = self._call(self._text.ClassifySpeech, request, options.get("timeout"))
        return responses.speech_classification(response)

    def list_models(self, *, timeout: float | None = None) -> results.Models:
        """The models of both services. ``timeout``, in seconds, is for each of the two calls."""
        request = classification_pb2.ZeroShotClassifierListModelsRequest()
        text = self._call(self._text.ListModels, request, timeout)
        return responses.models(self.send_list_models(timeout=timeout), text)

    def send_recognize(
        self,
        request: speech_pb2.RecognizeRequest,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> speech_pb2.RecognizeResponse:
        """``Recognize`` by its messages, with the same retries; ``timeout`` in seconds."""
        return self._call(self._speech.Recognize, request, timeout, metadata)

    def send_list_models(
        self, *, timeout: float | None = None, metadata: Mapping[str, str] | None = None
    ) -> speech_pb2.SpeechToTextListModelsResponse:
        """The speech-to-text service's ``ListModels`` by its messages; ``timeout`` in seconds."""
        request = speech_pb2.SpeechToTextListModelsRequest()
        return self._call(self._speech.ListModels, request, timeout, metadata)

    def usage(
        self, client: str = "", first_day: str = "", last_day: str = "", *, timeout: float | None = None
    ) -> results.Usage:
        """What was used on some days, as 2026-11-25, both included; of this month where none are named.

        ``client`` is the caller where it is empty; "-" is all. Others' is for operators:
        :class:`earshot.errors.PermissionDeniedError`.
        """
        request = usage_pb2.GetUsageRequest(client=client, first_day=first_day, last_day=last_day)
        return responses.usage(self._call(self._usage.GetUsage, request, timeout))

    def stream(self, source: sources.AsyncSource, **options: Unpack[known.StreamOptions]) -> Stream:
        """Writes down live or long audio as it comes, and scores it where ``labels`` are given.

        A file whose header is PCM's, and all raw samples, go as raw samples; other files as they are,
        unless ``codec`` is given. A connection that breaks is made again, and nothing is lost: see
        :class:`Stream`.
        """
        self._headers(None)
        return Stream(self._loop, self._loop.run(self._begin_stream(source, options)))

    def close(self) -> None:
        """Closes the connection; calls that are under way end with CancelledError."""
        self._closed = True
        self._closing.set()
        self._channel.close()
        if self._streams is not None:
            self._loop.run(self._streams.close())
            self._streams = None
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _begin_stream(self, source: sources.AsyncSource, options: known.StreamOptions) -> AsyncStream:
        # Its channel belongs to the loop of the thread.
        self._streams = self._streams or AsyncClient(
            self.target,
            timeout=self._timeout,
            retry=self._retry,
            credentials=self._credentials,
            metadata=self._metadata,
            max_message_bytes=self._max_message_bytes,
            api_key=self._api_key,
            key_in_plain_text=self._key_in_plain_text,
        )
        return self._streams.stream(source, **options)

    def _open(self) -> None:
        self._loop = LoopThread()
        self._closing = Event()
        self._measuring = Lock()
        if self._credentials is None:
            self._channel = grpc.insecure_channel(self.target, self._channel_options())
        else:
            self._channel = grpc.secure_channel(self.target, self._credentials, self._channel_options())
        self._speech = speech_pb2_grpc.SpeechToTextStub(self._channel)
        self._text = classification_pb2_grpc.ZeroShotClassifierStub(self._channel)
        self._usage = usage_pb2_grpc.UsageStub(self._channel)

    def _load(self, source: sources.Source, options: known.ClipOptions) -> sources.Audio:
        audio = encoding.load(source, options, self._max_message_bytes)
        clip = encoding.clip_of(audio) if encoding.is_wanted(options) else None
        if clip is None:
            return audio
        self._measure()
        return encoding.fitting(audio, self._link.codec(clip), self._max_message_bytes)

    def _measure(self) -> None:
        """Finds out how fast the link is, unless that is known."""
        with self._measuring:
            if self._link.is_known:
                return
            try:
                _, bare, long = [self._list_models_in(request) for request in link.probes()]
            except grpc.RpcError as failure:
                self._link.failed(failure)
            else:
                self._link.took(bare, long)

    def _list_models_in(self, request: speech_pb2.SpeechToTextListModelsRequest) -> float:
        started, headers = time.monotonic(), self._headers(None)
        self._speech.ListModels(request, timeout=link.PATIENCE, metadata=tuple(headers.items()))
        return time.monotonic() - started

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> ResponseT:
        attempts, headers = self._begin(request, timeout, metadata)
        compression = compression_of(metadata)
        while True:
            try:
                left = attempts.time_left()
                response = method(request, timeout=left, metadata=headers, compression=compression)
            except grpc.RpcError as failure:
                pause = attempts.pause_after(failure)
            else:
                self._answered = True
                return response
            if self._closing.wait(pause):
                raise errors.CancelledError("the client was closed while it waited to try again")
