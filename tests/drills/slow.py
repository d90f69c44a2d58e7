"""Callers that are slow: those that send a byte a second, and those that never read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Final

from earshot.gen.v1 import audio_pb2, classification_pb2
from tests.drills.calls import phrases
from tests.drills.slow_crowd import Caller, Crowd
from tests.envoy.hostile import STREAMING, UNARY, announced, framed

_CLASSIFY: Final = "/earshot.v1.ZeroShotClassifier/Classify"
_LIVE: Final = "/earshot.v1.ZeroShotClassifier/StreamingClassifySpeech"
_ONE_IN: Final = 20  # of who never read: a live stream
_TOGETHER: Final = 20  # calls at a time until they are answered: no more than are let in
_ANNOUNCED: Final = 300_000  # bytes of a message of which one comes each second
_TEXTS: Final = 5
_LABELS: Final = 160
_LABEL_BYTES: Final = 1_000  # as long as they may be, so that answers are long
_MEANING: Final = ("rain", "football", "soup", "computers")  # in a word: what is scored is short
_SECOND: Final = 32_000  # bytes of audio
ANSWER: Final = _TEXTS * _LABELS * _LABEL_BYTES  # bytes, at the least; nearly as long as one may be

_Config = classification_pb2.ClassificationConfig
_Live = classification_pb2.StreamingClassifySpeechRequest


@dataclass
class Camp:
    """Those that are there; each kind is waited for by another limit."""

    calls: list[Caller] = field(default_factory=list)  # that send a byte a second
    streams: list[Caller] = field(default_factory=list)  # that do the same
    unread_calls: list[Caller] = field(default_factory=list)  # of whose answers no byte is taken
    unread_streams: list[Caller] = field(
        default_factory=list
    )  # the same, and they are spoken to all the time

    @property
    def open(self) -> int:
        """How many go on."""
        return sum(not one.end for one in self._everyone())

    @property
    def ends(self) -> frozenset[str]:
        """Of those that do not."""
        return frozenset(one.end for one in self._everyone() if one.end)

    def gather(self, crowd: Crowd, size: int) -> None:
        """``size`` that send slowly, and as many that do not read. Who is waited for least comes last."""
        streams = size // _ONE_IN
        asked, opened = framed(_question()), framed(_opening())
        while (missing := size - streams - len(self.unread_calls)) > 0:
            some = range(min(missing, _TOGETHER))
            self.unread_calls += crowd.answered(
                [crowd.call(_CLASSIFY, asked, whole=True, window=0) for _ in some]
            )
        self.unread_streams = crowd.answered([crowd.call(_LIVE, opened, window=0) for _ in range(streams)])
        self.calls = [crowd.call(UNARY, announced(_ANNOUNCED)) for _ in range(size // 2)]
        self.streams = [crowd.call(STREAMING, announced(_ANNOUNCED)) for _ in range(size - size // 2)]

    def live(self, crowd: Crowd) -> None:
        """What each of them does in a second."""
        crowd.listen()
        for one in (*self.calls, *self.streams):
            one.say(b"\0")
        for one in self.unread_streams:
            if one.rest():
                one.chunks += 1
                one.say(_spoken(one.chunks))

    def _everyone(self) -> tuple[Caller, ...]:
        return (*self.calls, *self.streams, *self.unread_calls, *self.unread_streams)


def _question() -> classification_pb2.ClassifyRequest:
    texts = [{"text": f"Snow is forecast for {number}."} for number in range(_TEXTS)]
    return classification_pb2.ClassifyRequest(inputs=texts, config=_config())


def _opening() -> _Live:
    """Of a stream that is answered at length, and often."""
    explicit = audio_pb2.ExplicitDecodingConfig(
        encoding=audio_pb2.ExplicitDecodingConfig.AUDIO_ENCODING_LINEAR16,
        sample_rate_hertz=16_000,
        audio_channel_count=1,
    )
    return _Live(
        streaming_config={
            "recognition_config": {"explicit_decoding_config": explicit},
            "classification_config": _config(),
            "streaming_features": {"interim_results": True},
        }
    )


def _config() -> _Config:
    labels = [f"{number:0{_LABEL_BYTES}}" for number in range(_LABELS)]
    meanings = {label: _MEANING[number % len(_MEANING)] for number, label in enumerate(labels)}
    return _Config(candidate_labels=labels, label_descriptions=meanings)


@cache
def _spoken(number: int) -> bytes:
    """The chunk of that number: a second of somebody who counts all the time."""
    said = phrases(20.0, 1)[0].samples
    start = number * _SECOND % (len(said) - _SECOND)
    return framed(_Live(audio={"sequence_number": number, "content": said[start : start + _SECOND]}))
