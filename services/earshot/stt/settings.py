"""Settings of the speech-to-text service, beside those common to both."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from earshot.audio.limits import AudioLimits
from earshot.quotas.settings import QuotaSettings
from earshot.runtime.settings import PositiveInt, PositiveSeconds, Seconds
from earshot.stt.types import Redaction, Rules


class SpeechSettings(QuotaSettings):
    """What the speech-to-text service can be told."""

    context_seconds: float = Field(
        0.0,
        ge=0,
        le=30,
        description="Audio that faster-whisper encodes at once at the least; 0: as suits the model.",
    )
    decoders: PositiveInt = Field(1, description="Processes that decode audio.")
    decoder_mebibytes: PositiveInt = Field(512, description="Memory that decoding may take, in MiB.")
    listeners: PositiveInt = Field(1, description="Processes that live streams are listened to in.")
    listener_mebibytes: PositiveInt = Field(1024, description="Memory of each for its streams, in MiB.")
    max_segment_seconds: float = Field(
        25.0, ge=2.0, le=25.0, description="Longest stretch of speech in a stream; longer ones are cut."
    )
    redact: str = Field(
        "", description="Taken out of every transcript: number, email, card, phone, name; as a,b,c."
    )
    name_model: str = Field(
        "", description="Folder of a token classification model that finds names; empty: names are not found."
    )
    profanity_filter: bool = Field(False, description="Mask profane words in every transcript.")
    max_audio_seconds: PositiveSeconds = Field(3600.0, description="Longest clip, in seconds.")
    free_audio_seconds: Seconds = Field(60.0, description="So much audio may come of any number of bytes;")
    audio_seconds_per_byte: PositiveSeconds = Field(
        0.05, description="beyond it only so much for each: a small file must not become hours."
    )

    @field_validator("redact")
    @classmethod
    def _are_kinds(cls, redact: str) -> str:
        unknown = [name for name in _names(redact) if name not in set(Redaction)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: none of {', '.join(Redaction)}")
        return redact

    @model_validator(mode="after")
    def _can_find_names(self) -> Self:
        if Redaction.NAME in _names(self.redact) and not self.name_model:
            raise ValueError("EARSHOT_REDACT has name, and EARSHOT_NAME_MODEL no model that finds them")
        return self

    @property
    def audio_limits(self) -> AudioLimits:
        """How much audio a clip may hold."""
        return AudioLimits(self.max_audio_seconds, self.free_audio_seconds, self.audio_seconds_per_byte)

    @property
    def rules(self) -> Rules:
        """What is done to every transcript."""
        redact = frozenset(Redaction(name) for name in _names(self.redact))
        return Rules(redact, self.profanity_filter, names=bool(self.name_model))


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]
