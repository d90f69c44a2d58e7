"""Streams as the servicer has them answered: checked, let in, then heard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from earshot.gen.v1 import audio_pb2, speech_pb2
from earshot.quotas.meter import Meter
from earshot.quotas.tab import Tab
from earshot.quotas.types import Unit, milliseconds
from earshot.rpc.codecs import codec_of
from earshot.rpc.streams import first_config
from earshot.runtime import calls
from earshot.runtime.admission import Admission
from earshot.runtime.draining import gone
from earshot.runtime.seals import Seals
from earshot.stt.settings import SpeechSettings
from earshot.stt.streaming import position, requests
from earshot.stt.streaming.responses import Answering
from earshot.stt.streaming.session import Hearing, Session
from earshot.stt.types import SAMPLE_RATE, ModelInfo, Rules


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream is to the replica."""

    share: float  # of a worker
    longest_segment: float  # seconds
    replica: str
    rules: Rules

    @classmethod
    def of(cls, settings: SpeechSettings) -> StreamOptions:
        """The part of the settings that concerns streams at the edge."""
        return cls(settings.stream_share, settings.max_segment_seconds, settings.replica, settings.rules)


class Streams:
    """All streams of a replica."""

    def __init__(
        self,
        hearing: Hearing,
        admission: Admission,
        meter: Meter,
        seals: Seals[position.Position],
        options: StreamOptions,
    ) -> None:
        self._hearing, self._admission, self._meter = hearing, admission, meter
        self._seals, self._options = seals, options

    async def answer(
        self, messages: requests.Requests, model: ModelInfo, selection: audio_pb2.ModelSelection
    ) -> AsyncGenerator[speech_pb2.StreamingRecognizeResponse, None]:
        """The messages of one connection. What keeps it from beginning is raised before the first.

        Raises ``InvalidArgumentError``, ``ResourceExhaustedError`` when the replica is full or a quota
        used up, ``UnavailableError`` when it leaves or a worker has died, ``DeadlineExceededError`` for a
        caller who says nothing.
        """
        config = await first_config(messages, self._hearing.limits.idle)
        order = requests.order(config, model, self._options.longest_segment, self._options.rules)
        where = position.opened(config, model.name, self._seals)
        if self._hearing.draining.is_on:
            raise gone()
        if config.resume_token:
            self._hearing.metrics.streams_resumed.inc()
        answering = Answering(self._seals, selection, self._options.replica)
        paid = milliseconds(where.origin / SAMPLE_RATE)
        tab = Tab(self._meter, Unit.AUDIO, model.name, where.stream, paid)
        await tab.check()
        with self._admission.permit(0, self._options.share):
            session = Session(self._hearing, order, where, tab)
            async with contextlib.aclosing(session.replies(_noted(messages, config))) as replies:
                async for reply in replies:
                    yield answering.message(reply)


async def _noted(
    messages: requests.Requests, config: speech_pb2.StreamingRecognitionConfig
) -> AsyncGenerator[speech_pb2.StreamingRecognizeRequest, None]:
    """``messages``; the first audio says for the figures how it is encoded."""
    call, unknown = calls.current(), True
    async for message in messages:
        if unknown and message.audio.content:
            call.codec, unknown = codec_of(config.config, message.audio.content), False
        yield message
