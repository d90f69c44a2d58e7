"""The client for asyncio; belongs to the event loop of its first call."""

# ruff: noqa: ASYNC109 - a deadline crosses the wire with the call; a timeout around it would not

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from functools import cached_property, partial
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import grpc
from google.protobuf.message import Message

from earshot import errors
from earshot.client import duplex, encoding, link, requests, responses, results, sources
from earshot.client import options as known
from earshot.client.connection import REQUEST_ID, Connection
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


class AsyncClient(Connection):
    """Speech to text and zero-shot classification, behind one port.

    Every method raises from :mod:`earshot.errors`, and tries again what is worth it (``retry``).
    The keywords that a method takes are those of the TypedDict in its signature.
    """

    async def recognize(
        self, source: sources.AsyncSource, **options: Unpack[known.RecognizeOptions]
    ) -> results.Recognition:
        """Writes down a clip."""
        known.check(options, known.RecognizeOptions)
        audio = await self._load(source, options)
        request = requests.recognize(audio, options)
        return responses.recognition(
            await self._call(self._speech.Recognize, request, options.get("timeout"))
        )

    @overload
    async def classify(  # type: ignore[overload-overlap]  # a str is a Sequence[str], and meant alone
        self, texts: str, labels: Sequence[str], **options: Unpack[known.ClassifyOptions]
    ) -> results.Classification: ...
    @overload
    async def classify(
        self, texts: requests.Texts, labels: Sequence[str] = (), **options: Unpack[known.ClassifyOptions]
    ) -> results.Classifications: ...
    async def classify(
        self,
        texts: str | requests.Texts,
        labels: Sequence[str] = (),
        **options: Unpack[known.ClassifyOptions],
    ) -> results.Classification | results.Classifications:
        """Scores one text, or several at once; a :class:`Text` may have labels of its own."""
        known.check(options, known.ClassifyOptions)
        request = requests.classify(texts, labels, options)
        metadata = WANTED if options.get("compress") else None
        response = await self._call(self._text.Classify, request, options.get("timeout"), metadata)
        return responses.classified(response, single=isinstance(texts, str))

    async def classify_speech(
        self,
        source: sources.AsyncSource,
        labels: Sequence[str],
        **options: Unpack[known.ClassifySpeechOptions],
    ) -> results.SpeechClassification:
        """Writes down a clip and scores what was said."""
        known.check(options, known.ClassifySpeechOptions)
        audio = await self._load(source, options)
        request = requests.classify_speech(audio, labels, options)
        response = await self._call(self._text.ClassifySpeech, request, options.get("timeout"))
        return responses.speech_classification(response)

    async def list_models(self, *, timeout: float | None = None) -> results.Models:
        """The models of both services. ``timeout``, in seconds, is for each of the two calls."""
        request = classification_pb2.ZeroShotClassifierListModelsRequest()
        text = await self._call(self._text.ListModels, request, timeout)
        return responses.models(await self.send_list_models(timeout=timeout), text)

    async def usage(
        self, client: str = "", first_day: str = "", last_day: str = "", *, timeout: float | None = None
    ) -> results.Usage:
        """What was used on some days, as 2026-11-25, both included; of this month where none are named.

        ``client`` is the caller where it is empty; "-" is all. Others' is for operators:
        :class:`earshot.errors.PermissionDeniedError`.
        """
        request = usage_pb2.GetUsageRequest(client=client, first_day=first_day, last_day=last_day)
        return responses.usage(await self._call(self._usage.GetUsage, request, timeout))

    async def send_recognize(
        self,
        request: speech_pb2.RecognizeRequest,
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> speech_pb2.RecognizeResponse:
        """``Recognize`` by its messages, with the same retries; ``timeout`` in seconds."""
        return await self._call(self._speech.Recognize, request, timeout, metadata)

    async def send_list_models(
        self, *, timeout: float | None = None, metadata: Mapping[str, str] | None = None
    ) -> speech_pb2.SpeechToTextListModelsResponse:
        """The speech-to-text service's ``ListModels`` by its messages; ``timeout`` in seconds."""
        request = speech_pb2.SpeechToTextListModelsRequest()
        return await self._call(self._speech.ListModels, request, timeout, metadata)

    def send_streaming_recognize(
        self,
        requests: AsyncIterable[speech_pb2.StreamingRecognizeRequest],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[speech_pb2.StreamingRecognizeResponse, None]:
        """One ``StreamingRecognize`` call by its messages, never tried again.

        ``timeout`` is in seconds; None: as long as it takes. Flow control reaches both ends: the next
        request is asked for when the last has left. Wrap it in ``contextlib.aclosing`` where it may be
        left early: that cancels the call.
        """
        headers = self._headers(metadata)
        begin = partial(self._speech.StreamingRecognize, timeout=timeout, metadata=tuple(headers.items()))
        return duplex.exchange(begin, requests, headers[REQUEST_ID])

    def stream(self, source: sources.AsyncSource, **options: Unpack[known.StreamOptions]) -> AsyncStream:
        """Writes down live or long audio as it comes, and scores it where ``labels`` are given.

        A file whose header is PCM's, and all raw samples, go as raw samples; other files as they are,
        unless ``codec`` is given. A connection that breaks is made again, and nothing is lost: see
        :class:`AsyncStream`.
        """
        return AsyncStream(self._begin_stream, source, self._retry, options)

    async def close(self) -> None:
        """Closes the connection; calls that are under way end with CancelledError."""
        self._closed = True
        if "_channel" in self.__dict__:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Made at the first call and not before: a channel belongs to the loop that runs then.
    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.target, self._channel_options())
        return grpc.aio.secure_channel(self.target, self._credentials, self._channel_options())

    @cached_property
    def _speech(self) -> speech_pb2_grpc.SpeechToTextAsyncStub:
        return speech_pb2_grpc.SpeechToTextStub(self._channel)

    @cached_property
    def _text(self) -> classification_pb2_grpc.ZeroShotClassifierAsyncStub:
        return classification_pb2_grpc.ZeroShotClassifierStub(self._channel)

    @cached_property
    def _usage(self) -> usage_pb2_grpc.UsageAsyncStub:
        return usage_pb2_grpc.UsageStub(self._channel)

    def _begin_stream(self, scores: bool) -> tuple[Any, str]:
        headers = self._headers(None)
        method = self._text.StreamingClassifySpeech if scores else self._speech.StreamingRecognize
        return method(metadata=tuple(headers.items())), headers[REQUEST_ID]

    async def _load(self, source: sources.AsyncSource, options: known.ClipOptions) -> sources.Audio:
        limit = self._max_message_bytes
        if isinstance(source, AsyncIterable):
            audio = await sources.load_async(source, options, limit)
            if (name := options.get("codec")) and not encoding.is_wanted(options):
                return await asyncio.to_thread(encoding.again, audio, name, limit)
        else:
            # Files block, and a microphone's iterator for as long as it listens.
            audio = await asyncio.to_thread(encoding.load, source, options, limit)
        clip = encoding.clip_of(audio) if encoding.is_wanted(options) else None
        if clip is None:
            return audio
        await self._measure()
        return await asyncio.to_thread(encoding.fitting, audio, self._link.codec(clip), limit)

    async def _measure(self) -> None:
        """Finds out how fast the link is, unless that is known."""
        async with self._measuring:
            if self._link.is_known:
                return
            try:
                _, bare, long = [await self._list_models_in(request) for request in link.probes()]
            except grpc.RpcError as failure:
                self._link.failed(failure)
            else:
                self._link.took(bare, long)

    async def _list_models_in(self, request: speech_pb2.SpeechToTextListModelsRequest) -> float:
        started, headers = time.monotonic(), self._headers(None)
        await self._speech.ListModels(request, timeout=link.PATIENCE, metadata=tuple(headers.items()))
        return time.monotonic() - started

    @cached_property
    def _measuring(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout: float | None,
        metadata: Mapping[str, str] | None = None,
    ) -> ResponseT:
        attempts, headers = self._begin(request, timeout, metadata)
        compression = compression_of(metadata)
        while True:
            try:
                left = attempts.time_left()
                response = await method(request, timeout=left, metadata=headers, compression=compression)
            except grpc.RpcError as failure:
                pause = attempts.pause_after(failure)
            except asyncio.CancelledError as cancelled:
                self._check_open(cancelled)
                raise
            else:
                self._answered = True
                return response
            await asyncio.sleep(pause)

    def _check_open(self, cancelled: asyncio.CancelledError) -> None:
        # grpc cancels the calls of a channel that closes, as if their task had been: it was not.
        task = asyncio.current_task()
        if self._closed and task is not None and not task.cancelling():
            raise errors.CancelledError("the client was closed during the call") from cancelled
