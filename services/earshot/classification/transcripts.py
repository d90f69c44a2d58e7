"""The port through which this service hears: the speech-to-text service, as any client calls it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from earshot import errors
from earshot.classification.settings import ClassificationSettings
from earshot.client import AsyncClient, RetryPolicy
from earshot.gen.v1 import audio_pb2, models_pb2, speech_pb2
from earshot.rpc.deadlines import time_left
from earshot.runtime import calls
from earshot.runtime.labels import CLIENT_HEADER
from earshot.runtime.logs import REQUEST_ID
from earshot.runtime.tls import ENVOY_NAME, Certificates

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
        """The models that it hears with and the caller may use; none while the service cannot be reached."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


class SpeechToTextTranscripts:
    """Hears through a speech-to-text service, best behind the proxy that knows its replicas."""

    def __init__(self, target: str, max_message_bytes: int, tls: Path | None = None) -> None:
        """``tls``: the folder of the certificates that both sides show; see :mod:`earshot.runtime.tls`."""
        self._target, self._max_message_bytes = target, max_message_bytes
        self._certificates = Certificates(tls) if tls else None
        self._connected = self._connect()
        self._retired: AsyncClient | None = None

    @classmethod
    def of(cls, settings: ClassificationSettings) -> SpeechToTextTranscripts:
        """As it is set; a socket of the file system is for its owner alone, and has no certificates."""
        tls = None if settings.speech_target.startswith("unix:") else settings.tls_folder
        return cls(settings.speech_target, settings.max_message_bytes, tls)

    def _connect(self) -> AsyncClient:
        shown = self._certificates
        # The proxy retries on other replicas; two attempts bridge the proxy's own restart.
        return AsyncClient(
            self._target,
            retry=RetryPolicy(max_attempts=2),
            max_message_bytes=self._max_message_bytes,
            api_key="",
            credentials=shown.client() if shown else None,
            server_name=ENVOY_NAME if shown else "",
        )

    async def _client(self) -> AsyncClient:
        """One that shows the certificate of now. Those before the last have no calls any more: certificates
        change by weeks, and streams last for hours.
        """
        if self._certificates and self._certificates.refresh():
            retired, self._retired, self._connected = self._retired, self._connected, self._connect()
            if retired:
                await retired.close()
        return self._connected

    async def recognize(
        self, config: audio_pb2.RecognitionConfig, content: bytes, deadline: float
    ) -> speech_pb2.RecognizeResponse:
        """See :class:`Transcripts`."""
        request = speech_pb2.RecognizeRequest(config=config, content=content)
        try:
            return await (await self._client()).send_recognize(
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
            client = await self._client()
            async with contextlib.aclosing(
                client.send_streaming_recognize(requests, metadata=_metadata())
            ) as heard:
                async for one in heard:
                    yield one
        except errors.EarshotError as exc:
            exc.field = _renamed(exc.field)
            raise

    async def models(self) -> Sequence[models_pb2.Model]:
        """See :class:`Transcripts`."""
        try:
            client = await self._client()
            answer = await client.send_list_models(timeout=_MODELS_SECONDS, metadata=_metadata())
        except errors.EarshotError:
            return ()
        return answer.models

    async def close(self) -> None:
        """See :class:`Transcripts`."""
        for client in (self._connected, self._retired):
            if client:
                await client.close()


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
