"""What the front process and a listener say to each other. Positions are samples at 16 kHz.

All positions are on the clock of the whole audio, over all connections of a stream.
"""

from __future__ import annotations

from typing import Final

import msgspec

from earshot import errors
from earshot.audio.formats import AudioFormat
from earshot.stt.types import SAMPLE_RATE


class Endpointing(msgspec.Struct, frozen=True):
    """When a stretch of speech ends. Times in seconds."""

    end_silence: float = 0.6  # silence that ends it
    max_segment: float = 15.0  # longer ones are cut
    pre_roll: float = 0.3  # kept from before it: quiet onsets
    post_roll: float = 0.3  # and from after it: fading ends


class Open(msgspec.Struct, frozen=True, tag="open"):
    """A new stream. The decoder's first sample is at ``base``; what is before ``origin`` is final."""

    stream: int
    audio_format: AudioFormat
    endpointing: Endpointing
    base: int
    origin: int
    keep_from: int  # words before it are final too, though their audio is heard again
    field: str  # path of the RecognitionConfig in the request


class Push(msgspec.Struct, frozen=True, tag="push"):
    """The next bytes of the audio; none: only look for what is ready. ``last``: no more will come."""

    stream: int
    data: bytes
    last: bool = False


class Peek(msgspec.Struct, frozen=True, tag="peek"):
    """Asks for the speech that goes on now, as far as it has been heard."""

    stream: int


class Close(msgspec.Struct, frozen=True, tag="close"):
    """The stream has ended."""

    stream: int


ToListener = Open | Push | Peek | Close


class Span(msgspec.Struct, frozen=True):
    """A stretch to be heard, its samples in the message's blob. Words are kept by their middles."""

    start: int
    end: int
    keep_from: int  # at least start
    keep_to: int  # at most end

    @property
    def is_cut(self) -> bool:
        """Whether the audio goes over the words that are kept."""
        return self.keep_from > self.start or self.keep_to < self.end

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SAMPLE_RATE


class Event(msgspec.Struct, frozen=True):
    """Speech started, or ended, at ``position``."""

    started: bool
    position: int


class Heard(msgspec.Struct, frozen=True):
    """What came of a message."""

    received: int = 0  # samples of audio, over all connections
    origin: int = 0  # what is before it needs no more than what has been given out
    keep_from: int = 0
    speaking: bool = False  # speech goes on
    spoken: int = 0  # end of the latest frame of speech
    events: list[Event] = []
    # A stretch that has ended, and maybe not the last: push nothing, and see. To a Peek: one that goes on.
    span: Span | None = None


def lost() -> errors.UnavailableError:
    """What a stream is told whose listener has died."""
    return errors.UnavailableError(
        "the process that listened to this stream is gone: go on by the resume token", reason="STREAM_LOST"
    )


encode: Final = msgspec.msgpack.Encoder().encode
decode_to_listener: Final = msgspec.msgpack.Decoder(ToListener).decode
decode_heard: Final = msgspec.msgpack.Decoder(Heard).decode
