"""Settings of the classification service, beside those common to both."""

from __future__ import annotations

from pydantic import Field

from earshot.classification.labels import LabelLimits
from earshot.quotas.settings import QuotaSettings
from earshot.rpc.limits import MEBIBYTE
from earshot.runtime.settings import PositiveInt, PositiveSeconds


class ClassificationSettings(QuotaSettings):
    """What the classification service can be told."""

    speech_target: str = Field(
        "127.0.0.1:8080", description="host:port of the speech-to-text service, best through the proxy."
    )
    label_cache: PositiveInt = Field(10_000, description="Label vectors that each worker keeps.")
    seen_texts: int = Field(
        0, ge=0, description="Texts whose scores are kept for the client that asked; 0: none."
    )
    seen_mebibytes: PositiveInt = Field(64, description="Memory of those scores, in MiB.")
    seen_seconds: PositiveSeconds = Field(
        600.0, description="Scores that are not asked for again for so long are forgotten."
    )
    max_texts: PositiveInt = Field(1000, description="Texts in one request.")
    max_text_characters: PositiveInt = Field(100_000, description="Length of one text, in characters.")
    max_labels: PositiveInt = Field(1000, description="Labels for one text.")
    max_label_characters: PositiveInt = Field(1000, description="Length of one label or description.")
    max_scores: PositiveInt = Field(100_000, description="Texts times labels in one request.")
    max_answer_mebibytes: PositiveInt = Field(
        1,
        le=64,
        description="Scores with their labels in one answer, in MiB. What is longer than 1 and is not read"
        " stays in memory.",
    )

    @property
    def label_limits(self) -> LabelLimits:
        """What one request may ask."""
        return LabelLimits(
            max_labels=self.max_labels,
            max_label_characters=self.max_label_characters,
            max_texts=self.max_texts,
            max_text_characters=self.max_text_characters,
            max_scores=self.max_scores,
            max_answer_bytes=self.max_answer_mebibytes * MEBIBYTE,
        )
