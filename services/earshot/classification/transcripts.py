"""The port through which this service hears: the speech-to-text service, as any client calls it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Final, Protocol

from earshot import errors
from earshot.client import AsyncClient, RetryPolicy
from earshot.gen.v1 import audio_pb2, models_pb2, speech_pb2
from earshot.rpc.deadlines import time_left
from earshot.runtime import calls
from earshot.runtime.labels import CLIENT_HEADER
from earshot.runtime.logs import REQUEST_ID

_MODELS_SECONDS: Final = 2.0  # how long ListModels waits for the other service
# The same message, in two requests: their path, ours.
_PATHS: Final = (
    ("streaming_config.config", "streaming_config.recognition_config"),
    ("config", "recognition_config"),
)


class Transcripts(Protocol):
    """What writes down clips."""

    async def recognize(
        self, config: audio_pb2.RecognitionConfig, content: bytes, deadline: float
    ) -> speech_pb2.RecognizeResponse:
        """Writes down a clip. ``deadline`` is by ``time.monotonic``. Raises the service's own errors."""
        ...

    def stream(
        self, requests: AsyncIterable[speech_pb2.StreamingRecognizeRequest]
    ) -> AsyncGenerator[speech_pb2.StreamingRecognizeResponse, None]:
        """Writes down live audio as it comes. Raises the service's own errors."""
        ...

    async def models(self) -> Sequence[models_pb2.Model]:
        """The models that it hears with; none while the service cannot be reached."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


class SpeechToTextTranscripts:
    """Hears through a speech-to-text service, best behind the proxy that knows its replicas."""

    def __init__(self, target: str, max_message_bytes: int) -> None:
        # The proxy retries on other replicas; two attempts bridge the proxy's own restart.
        self._client = AsyncClient(
            target, retry=RetryPolicy(max_attempts=2), max_message_bytes=max_message_bytes, api_key=""
        )

    async def recognize(
        self, config: audio_pb2.RecognitionConfig, content: bytes, deadline: float
    ) -> speech_pb2.RecognizeResponse:
        """See :class:`Transcripts`."""
        request = speech_pb2.RecognizeRequest(config=config, content=content)
        try:
            return await self._client.send_recognize(
                request, timeout=_positive(time_left(deadline)), metadata=_metadata()
            )
        except errors.EarshotError as exc:
            exc.field = _renamed(exc.field)
            raise

    async def stream(
        self, requests: AsyncIterable[speech_pb2.StreamingRecognizeRequest]
    ) -> AsyncGenerator[speech_pb2.StreamingRecognizeResponse, None]:
        """See :class:`Transcripts`."""
        try:
            async with contextlib.aclosing(
                self._client.send_streaming_recognize(requests, metadata=_metadata())
            ) as heard:
                async for one in heard:
                    yield one
        except errors.EarshotError as exc:
            exc.field = _renamed(exc.field)
            raise

    async def models(self) -> Sequence[models_pb2.Model]:
        """See :class:`Transcripts`."""
        try:
            return (await self._client.send_list_models(timeout=_MODELS_SECONDS)).models
        except errors.EarshotError:
            return ()

    async def close(self) -> None:
        """See :class:`Transcripts`."""
        await self._client.close()


def _metadata() -> dict[str, str]:
    """The call that we answer, and for whom, in the other service's log and figures as well."""
    call = calls.current()
    caller = {CLIENT_HEADER: call.claimed_client} if call.claimed_client else {}
    caller |= call.trace.headers() if call.trace else {}
    return {"x-request-id": REQUEST_ID.get()} | caller


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise errors.DeadlineExceededError("the deadline passed before the clip could be written down")
    return seconds


def _renamed(field: str) -> str:
    """The caller's name for a field that the speech-to-text service complains of."""
    for theirs, ours in _PATHS:
        if field == theirs or field.startswith(f"{theirs}."):
            return ours + field.removeprefix(theirs)
    return field
