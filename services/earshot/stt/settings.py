"""Settings of the speech-to-text service, beside those common to both."""

from __future__ import annotations

from pydantic import Field

from earshot.runtime.settings import PositiveInt, PositiveSeconds, Seconds, ServiceSettings


class SpeechSettings(ServiceSettings):
    """What the speech-to-text service can be told."""

    device: str = Field("auto", description="For torch and CTranslate2: auto, cpu or cuda.")
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
    max_audio_seconds: PositiveSeconds = Field(3600.0, description="Longest clip, in seconds.")
    free_audio_seconds: Seconds = Field(60.0, description="So much audio may come of any number of bytes;")
    audio_seconds_per_byte: PositiveSeconds = Field(
        0.05, description="beyond it only so much for each: a small file must not become hours."
    )
