"""What a session says, as messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final as Constant

from google.protobuf.duration_pb2 import Duration

from earshot.gen.v1 import audio_pb2, speech_pb2, streaming_pb2
from earshot.rpc.wire import duration
from earshot.runtime.seals import Seals
from earshot.stt import responses
from earshot.stt.streaming import position
from earshot.stt.streaming.replies import Acknowledgement, Final, Interim, Reply, Summary
from earshot.stt.streaming.wire import Event
from earshot.stt.types import SAMPLE_RATE

# How sure it is that a word stays: of those that two hypotheses agree on, and of the others.
_STABLE, _UNSTABLE = 0.9, 0.1
_KINDS: Constant = {
    True: streaming_pb2.SpeechEvent.KIND_SPEECH_STARTED,
    False: streaming_pb2.SpeechEvent.KIND_SPEECH_ENDED,
}


@dataclass(frozen=True, slots=True)
class Answering:
    """What every message of a stream needs beside the reply."""

    seals: Seals[position.Position]
    selection: audio_pb2.ModelSelection
    replica: str

    def message(self, reply: Reply) -> speech_pb2.StreamingRecognizeResponse:
        """``reply`` as it goes over the wire."""
        message = speech_pb2.StreamingRecognizeResponse(events=[_event(one) for one in reply.events])
        if reply.final:
            message.results.append(responses.result(reply.final.segment, reply.final.language))
            message.metadata.CopyFrom(self._metadata(reply.final))
        if reply.interim:
            message.results.extend(_interim(reply.interim))
        if reply.acknowledgement:
            message.acknowledgement.CopyFrom(_acknowledgement(reply.acknowledgement, self._token))
        if reply.time_left is not None:
            message.go_away.time_left.CopyFrom(duration(reply.time_left))
        if reply.summary:
            message.summary.CopyFrom(_summary(reply.summary))
        return message

    def _token(self, where: position.Position) -> str:
        return self.seals.seal(where)

    def _metadata(self, final: Final) -> audio_pb2.RecognitionMetadata:
        return audio_pb2.RecognitionMetadata(
            selection=self.selection,
            latency=audio_pb2.LatencyBreakdown(
                queue=duration(final.queue), inference=duration(final.inference), total=duration(final.total)
            ),
            audio_duration=duration(final.audio),
            billed_duration=duration(final.audio),
            replica=self.replica,
        )


def _acknowledgement(
    given: Acknowledgement, token: Callable[[position.Position], str]
) -> streaming_pb2.StreamAcknowledgement:
    message = streaming_pb2.StreamAcknowledgement(acked_sequence_number=given.acked)
    if given.position:
        message.committed_offset.CopyFrom(_at(given.position.origin))
        message.committed_sequence_number = given.position.mark.number
        message.resume_token = token(given.position)
    return message


def _interim(interim: Interim) -> list[audio_pb2.SpeechRecognitionResult]:
    parts = ((interim.stable, _STABLE), (interim.unstable, _UNSTABLE))
    return [
        audio_pb2.SpeechRecognitionResult(
            alternatives=[audio_pb2.SpeechRecognitionAlternative(transcript=text)],
            stability=stability,
            result_start_offset=_at(interim.span.start),
            result_end_offset=_at(interim.span.end),
            language_code=interim.language,
        )
        for text, stability in parts
        if text
    ]


def _event(event: Event) -> streaming_pb2.SpeechEvent:
    return streaming_pb2.SpeechEvent(kind=_KINDS[event.started], offset=_at(event.position))


def _summary(summary: Summary) -> streaming_pb2.StreamSummary:
    return streaming_pb2.StreamSummary(
        audio_received=_at(summary.received),
        audio_transcribed=_at(summary.transcribed),
        finals_sent=summary.finals,
        complete=True,
    )


def _at(position: int) -> Duration:
    return duration(position / SAMPLE_RATE)
