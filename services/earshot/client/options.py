"""What may be asked of a call beside its input: the keyword arguments of the clients' methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypedDict


class Encoding(StrEnum):
    """How audio is encoded; the names are those of the API in lower case."""

    LINEAR16 = "linear16"  # raw signed 16-bit little-endian samples
    LINEAR32F = "linear32f"  # raw 32-bit little-endian floats in -1 to 1
    MULAW = "mulaw"  # raw 8-bit G.711
    ALAW = "alaw"  # raw 8-bit G.711
    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"
    OGG_OPUS = "ogg_opus"
    WEBM_OPUS = "webm_opus"

    @property
    def is_raw(self) -> bool:
        """True where there is no header: the rate must be stated."""
        return self in {Encoding.LINEAR16, Encoding.LINEAR32F, Encoding.MULAW, Encoding.ALAW}


class CallOptions(TypedDict, total=False):
    """What every call takes."""

    timeout: float | None  # seconds for the call with all its retries; None: the client's own


class AudioOptions(TypedDict, total=False):
    """What the audio is, and what is wanted of it."""

    language: str  # BCP-47; empty: detected, or the model's only one
    encoding: Encoding | str | None  # None: read from the audio's header
    sample_rate: int  # hertz; needed for raw samples
    channels: int  # interleaved, 1 to 8; 0: 1 for raw samples, else the header's
    word_offsets: bool  # give the start and end of each word
    word_confidence: bool  # give a confidence for each word
    phrase_hints: Sequence[str]  # names and terms that are likely in the audio
    redact: Sequence[str]  # take out "number", "email", "card", "phone"
    profanity_filter: bool  # of profane words leave the first letter
    translate: bool  # write down in English what was said


class ClipOptions(AudioOptions, total=False):
    """The same of a clip, which can be made smaller on the way."""

    codec: str | None  # "opus", "opus:24k", "flac", or "auto": what the link calls for; None: as it is


class LabelOptions(TypedDict, total=False):
    """What to score against, beside the labels, and how."""

    model: str  # scores the labels; empty: the default
    descriptions: Mapping[str, str] | None  # label to a longer wording, scored in its place
    template: str  # the sentence that a label stands in, with one "{}"; empty: the model's own
    multi_label: bool  # scores are independent; else they sum to 1
    top_k: int | None  # only so many labels; None: all
    threshold: float | None  # only labels that score at least this, 0 to 1; None: all


class RecognizeOptions(ClipOptions, CallOptions, total=False):
    """The keyword arguments of ``recognize``."""

    model: str  # hears the words; empty: the default


class ClassifyOptions(LabelOptions, CallOptions, total=False):
    """The keyword arguments of ``classify``."""

    compress: bool  # gzip both ways: worth it for hundreds of texts over less than 100 Mbit/s


class ClassifySpeechOptions(ClipOptions, LabelOptions, CallOptions, total=False):
    """The keyword arguments of ``classify_speech``."""

    speech_model: str  # hears the words; empty: the default


class StreamOptions(AudioOptions, LabelOptions, total=False):
    """The keyword arguments of ``stream``."""

    model: str  # hears the words; empty: the default
    label_model: str  # scores the labels; empty: the default
    labels: Sequence[str]  # score what is heard against these; empty: words alone
    interim_results: bool  # give what may be said before it is final; default: True
    speech_events: bool  # tell when speech starts and ends
    end_silence: float | None  # seconds of silence that end a stretch; None: the service's own
    max_segment: float | None  # seconds of the longest stretch; None: the service's own
    pre_roll: float | None  # seconds kept from before speech; None: the service's own
    post_roll: float | None  # seconds kept from after speech; None: the service's own
    codec: str | None  # "opus", "opus:24k" or "flac": encode on the way out; None: as it is
    realtime: bool  # send a recording as fast as it was spoken
    max_uncommitted_bytes: int  # of audio kept because it is not final yet; default: 64 MiB
    give_up_after: float  # seconds of trouble without any progress; default: 60


def check(options: Mapping[str, object], known: type) -> None:
    """Raises TypeError for a keyword that is none of the TypedDict's, as a plain signature would."""
    unknown = sorted(options.keys() - known.__annotations__.keys())
    if unknown:
        names = ", ".join(sorted(known.__annotations__))
        raise TypeError(f"unknown argument {unknown[0]!r}; there are {names}")
