"""The messages of a stream, of either service: the first one out, and what the others in mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from earshot.client import requests, responses
from earshot.client.streaming.events import (
    Event,
    Final,
    Interim,
    Labels,
    SpeechEnded,
    SpeechStarted,
    Summary,
)
from earshot.gen.v1 import classification_pb2, speech_pb2, streaming_pb2
from earshot.rpc.wire import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earshot.client.options import LabelOptions, StreamOptions
    from earshot.client.results import Classification
    from earshot.client.sources import Format
    from earshot.client.streaming.backlog import Chunk, Commit

Request: TypeAlias = speech_pb2.StreamingRecognizeRequest | classification_pb2.StreamingClassifySpeechRequest
Response: TypeAlias = (
    speech_pb2.StreamingRecognizeResponse | classification_pb2.StreamingClassifySpeechResponse
)

_ROLLS = ("end_silence", "max_segment", "pre_roll", "post_roll")
_STABLE = 0.5  # interims of at least this stability are hardly going to change


class Wording:
    """The requests of one stream: the same configuration on every connection, but for labels."""

    def __init__(self, audio: Format, options: StreamOptions, *, encoded_here: bool) -> None:
        """``encoded_here``: the client makes the encoding, and begins it anew on each connection."""
        self.scores = bool(options.get("labels"))
        self._encoded_here = encoded_here
        self._recognition = requests.recognition_config(audio, options, options.get("model", ""))
        self._features = _features(options)
        self._scoring = cast("LabelOptions", {**options, "model": options.get("label_model", "")})
        self._labels = requests.classification_config(options.get("labels", ()), self._scoring)
        self._changed = False

    def relabel(self, labels: Sequence[str]) -> None:
        """Other labels from here on."""
        self._labels = requests.classification_config(labels, self._scoring)
        self._changed = True

    def change(self) -> Request | None:
        """Tells the service of the labels, where it does not know them."""
        if not self._changed:
            return None
        self._changed = False
        return classification_pb2.StreamingClassifySpeechRequest(classification_config=self._labels)

    def first(self, commit: Commit) -> Request:
        """The configuration, and from where the stream goes on."""
        self._changed = False
        begin_encoded = bool(commit.token) and self._encoded_here
        if not self.scores:
            config = speech_pb2.StreamingRecognitionConfig(
                config=self._recognition,
                streaming_features=self._features,
                resume_token=commit.token,
                audio_from_committed_offset=begin_encoded,
            )
            return speech_pb2.StreamingRecognizeRequest(streaming_config=config)
        scoring = classification_pb2.StreamingClassifySpeechConfig(
            recognition_config=self._recognition,
            classification_config=self._labels,
            streaming_features=self._features,
            resume_token=commit.token,
            audio_from_committed_offset=begin_encoded,
        )
        return classification_pb2.StreamingClassifySpeechRequest(streaming_config=scoring)

    def audio(self, chunk: Chunk) -> Request:
        """One chunk."""
        audio = streaming_pb2.AudioChunk(content=chunk.content, sequence_number=chunk.number)
        if self.scores:
            return classification_pb2.StreamingClassifySpeechRequest(audio=audio)
        return speech_pb2.StreamingRecognizeRequest(audio=audio)


def _features(options: StreamOptions) -> streaming_pb2.StreamingFeatures:
    features = streaming_pb2.StreamingFeatures(
        interim_results=options.get("interim_results", True),
        voice_activity_events=options.get("speech_events", False),
    )
    for name in _ROLLS:
        seconds = options.get(name)
        if isinstance(seconds, int | float):
            getattr(features.endpointing, name).CopyFrom(duration(seconds))
    return features


def events(response: Response, final_before: float) -> list[Event]:
    """What the response tells, in order: finals, then interims, what happened, and scores.

    ``final_before`` is the offset, in seconds, before which all was final already: a final that lies
    before it has been given before.
    """
    found: list[Event] = [each for each in _finals(response) if not _known(each, final_before)]
    found += _interims(response)
    found += (_happened(event) for event in response.events)
    found += _labels(response)
    return found


def summary(message: streaming_pb2.StreamSummary) -> Summary:
    """The account at the end."""
    return Summary(
        audio_received=responses.seconds(message.audio_received),
        audio_transcribed=responses.seconds(message.audio_transcribed),
        finals=message.finals_sent,
        complete=message.complete,
    )


def _known(final: Final, final_before: float) -> bool:
    return final.segment.start < final_before and final.segment.end <= final_before


def _finals(response: Response) -> list[Final]:
    if isinstance(response, speech_pb2.StreamingRecognizeResponse):
        answered = responses.answered(response.metadata)
    else:
        answered = responses.answered(response.recognition_metadata)
    return [
        Final(segment=responses.segment(result), **answered)
        for result in response.results
        if result.is_final and result.alternatives
    ]


def _interims(response: Response) -> list[Interim]:
    open_results = [each for each in response.results if not each.is_final and each.alternatives]
    if not open_results:
        return []
    texts = [(each.stability >= _STABLE, each.alternatives[0].transcript.strip()) for each in open_results]
    return [
        Interim(
            stable=" ".join(text for stable, text in texts if stable and text),
            unstable=" ".join(text for stable, text in texts if not stable and text),
            start=responses.seconds(open_results[0].result_start_offset),
            end=responses.seconds(open_results[-1].result_end_offset),
        )
    ]


def _happened(event: streaming_pb2.SpeechEvent) -> SpeechStarted | SpeechEnded:
    kind = SpeechEnded if event.kind == event.KIND_SPEECH_ENDED else SpeechStarted
    return kind(responses.seconds(event.offset))


def _labels(response: Response) -> list[Labels]:
    if isinstance(response, speech_pb2.StreamingRecognizeResponse):
        return []
    segment = _scores(response, "segment_classification")
    conversation = _scores(response, "conversation_classification")
    if segment is None and conversation is None:
        return []
    is_final = all(result.is_final for result in response.results)
    return [Labels(segment=segment, conversation=conversation, is_final=is_final)]


def _scores(
    response: classification_pb2.StreamingClassifySpeechResponse, field: str
) -> Classification | None:
    if not response.HasField(field):  # type: ignore[arg-type]  # one of the two names above
        return None
    answered = responses.answered(response.classification_metadata)
    return responses.classification(getattr(response, field), answered)
