"""Live speech against labels.

What is heard comes from the speech-to-text service, over a stream of its own that this one feeds; what
is said in it is scored here. Nothing is kept but the end of the conversation, and that travels in the
resume token: where either service breaks off the caller goes on by the token, on any replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from earshot.classification import position, responses
from earshot.classification.classifier import Classifier, Scored
from earshot.classification.ranking import NOTHING_SAID
from earshot.classification.requests import Question
from earshot.classification.transcripts import Transcripts
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.quotas.meter import Meter
from earshot.quotas.tab import Tab
from earshot.quotas.types import Unit
from earshot.rpc.codecs import codec_of
from earshot.rpc.streams import misplaced
from earshot.rpc.wire import duration
from earshot.runtime import calls
from earshot.runtime.draining import Draining, gone
from earshot.runtime.outbox import ALIVE, Outbox
from earshot.runtime.seals import Seals

CONVERSATION: Final = 2_000  # characters of it that are scored, from its end
_DEBOUNCE: Final = 0.5  # seconds between two scorings of what may still change

Requests = AsyncIterator[classification_pb2.StreamingClassifySpeechRequest]
Response = classification_pb2.StreamingClassifySpeechResponse
_Config = classification_pb2.StreamingClassifySpeechConfig
_Heard = speech_pb2.StreamingRecognizeResponse
_ToHear = speech_pb2.StreamingRecognizeRequest


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a session scores with. Times in seconds."""

    classifier: Classifier
    transcripts: Transcripts
    meter: Meter
    model: str
    draining: Draining
    seals: Seals[position.Position]
    ask: Callable[[classification_pb2.ClassificationConfig, str], Question]  # config, its path
    describe: Callable[[Scored, int, float], classification_pb2.ClassificationMetadata]
    request_seconds: float  # the longest that a scoring may take
    connection: float  # the longest that a connection may last
    leave: float  # between being told to go and being closed


class Session:
    """One connection of a stream."""

    def __init__(self, scoring: Scoring, config: _Config) -> None:
        """Raises ``InvalidArgumentError`` for labels that cannot be scored, or a token that does not hold."""
        self._scoring, self._config = scoring, config
        self._position = position.opened(config, scoring.seals)
        self._question = scoring.ask(config.classification_config, "streaming_config.classification_config")
        where = self._position
        self._tab = Tab(scoring.meter, Unit.CHARACTERS, scoring.model, where.stream, where.characters)
        self._asked_anew = False
        self._scored_at = 0.0
        self._acked = 0  # number of the last chunk that the other service has had
        self._out: Outbox[Response] = Outbox()

    async def replies(self, messages: Requests) -> AsyncGenerator[Response, None]:
        """All that is said to the caller. Raises what ends the stream before its end."""
        living = self._out.show_life(self._sign_of_life, ALIVE)
        replies = self._out.replies(self._give_out(messages), self._leave(), living)
        async with contextlib.aclosing(replies) as said:
            async for reply in said:
                yield reply

    def _sign_of_life(self) -> Response:
        """Also while a scoring takes long, and what is heard waits for it."""
        reply = Response()
        reply.acknowledgement.acked_sequence_number = self._acked
        return reply

    async def _leave(self) -> None:
        scoring = self._scoring
        left = await scoring.draining.time_to_leave(scoring.connection, scoring.leave)
        reply = Response()
        reply.go_away.time_left.CopyFrom(duration(left))
        await self._out.say(reply)
        await asyncio.sleep(left)
        raise gone()

    async def _give_out(self, messages: Requests) -> None:
        async with contextlib.aclosing(self._scoring.transcripts.stream(self._to_hear(messages))) as heard:
            async for one in heard:
                await self._out.say(await self._answered(one))

    async def _to_hear(self, messages: Requests) -> AsyncIterator[_ToHear]:
        """What the other service is told: the config, then the audio. New labels are kept here."""
        config, call, unknown = self._config, calls.current(), True
        yield _ToHear(
            streaming_config=speech_pb2.StreamingRecognitionConfig(
                config=config.recognition_config,
                streaming_features=config.streaming_features,
                resume_token=self._position.heard,
                audio_from_committed_offset=config.audio_from_committed_offset,
            )
        )
        async for message in messages:
            kind = message.WhichOneof("streaming_request")
            if kind == "audio":
                if unknown and message.audio.content:
                    call.codec = codec_of(config.recognition_config, message.audio.content)
                    unknown = False
                yield _ToHear(audio=message.audio)
            elif kind == "classification_config":
                self._question = self._scoring.ask(message.classification_config, "classification_config")
                self._asked_anew = True
            else:
                raise misplaced(kind, "labels alone change by a classification_config")

    async def _answered(self, heard: _Heard) -> Response:
        """``heard`` and what it scores; its token in one of our own."""
        finals = [one for one in heard.results if one.is_final]
        said = responses.said(finals)
        if said:
            conversation = f"{self._position.conversation} {said}".strip()[-CONVERSATION:]
            self._position = msgspec.structs.replace(self._position, conversation=conversation)
        response = Response(
            results=heard.results,
            events=heard.events,
            go_away=heard.go_away if heard.HasField("go_away") else None,
            summary=heard.summary if heard.HasField("summary") else None,
            recognition_metadata=heard.metadata if heard.HasField("metadata") else None,
        )
        await self._score(
            response,
            responses.said(finals[-1:]),
            responses.said(one for one in heard.results if not one.is_final),
        )
        if heard.HasField("summary"):
            await self._tab.close()
        if heard.HasField("acknowledgement"):
            self._acked = heard.acknowledgement.acked_sequence_number
            response.acknowledgement.CopyFrom(heard.acknowledgement)
            response.acknowledgement.resume_token = self._token(heard.acknowledgement.resume_token)
        return response

    def _token(self, heard: str) -> str:
        """Our token for the other service's; none for none: the last one holds."""
        if not heard:
            return ""
        self._position = msgspec.structs.replace(self._position, heard=heard)
        return self._scoring.seals.seal(self._position)

    async def _score(self, response: Response, final: str, interim: str) -> None:
        """Fills in the scores that are due: of finals always, of what may change now and then."""
        conversation = self._position.conversation
        if final:
            await self._fill(response, final, conversation)
        elif interim and self._is_due():
            await self._fill(response, interim, f"{conversation} {interim}".strip()[-CONVERSATION:])
        elif conversation and (self._asked_anew or response.HasField("summary")):
            await self._fill(response, "", conversation)
        elif response.HasField("summary"):
            response.conversation_classification.CopyFrom(responses.result(NOTHING_SAID))

    def _is_due(self) -> bool:
        return time.monotonic() - self._scored_at >= _DEBOUNCE and self._scoring.classifier.has_idle

    async def _fill(self, response: Response, segment: str, conversation: str) -> None:
        started = time.monotonic()
        question, self._asked_anew = self._question, False
        texts = [text for text in (segment, conversation) if text]
        asked = [question.about(text) for text in texts]
        scored = await self._scoring.classifier.classify(asked, started + self._scoring.request_seconds)
        results = [responses.result(question.answer(scores)) for scores in scored.scores]
        response.conversation_classification.CopyFrom(results[-1])
        if segment:
            response.segment_classification.CopyFrom(results[0])
        self._scored_at = time.monotonic()
        characters = sum(map(len, texts))
        await self._charge(characters)
        described = self._scoring.describe(scored, characters, self._scored_at - started)
        response.classification_metadata.CopyFrom(described)

    async def _charge(self, characters: int) -> None:
        """Before the scores go out."""
        total = self._position.characters + characters
        await self._tab.charge(total)
        self._position = msgspec.structs.replace(self._position, characters=total)
