"""Settings of quotas and prices, the same for both services."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from earshot.quotas.ledger import NO_LIMIT, Limits
from earshot.quotas.types import Rate, Unit
from earshot.runtime.settings import PositiveInt, PositiveSeconds, ServiceSettings

# A number beyond that is none that a ledger can count with.
_Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_EVERYONE = "*"  # whoever, or whatever, has no entry of its own


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quota(_Entry):
    """How much a client may use in calendar minutes, days and months, by UTC; None: no limit."""

    audio_seconds_per_minute: _Amount | None = None
    audio_seconds_per_day: _Amount | None = None
    audio_seconds_per_month: _Amount | None = None
    characters_per_minute: _Amount | None = None
    characters_per_day: _Amount | None = None
    characters_per_month: _Amount | None = None

    def limits(self, unit: Unit) -> Limits:
        """Of each window, in the unit's own numbers."""
        if unit is Unit.AUDIO:
            amounts = (
                self.audio_seconds_per_month,
                self.audio_seconds_per_day,
                self.audio_seconds_per_minute,
            )
        else:
            amounts = (self.characters_per_month, self.characters_per_day, self.characters_per_minute)
        month, day, minute = (
            NO_LIMIT if amount is None else round(amount * unit.per_whole) for amount in amounts
        )
        return month, day, minute


class Price(_Entry):
    """What a model's work costs."""

    audio_minute: _Amount = 0.0
    thousand_characters: _Amount = 0.0

    def rate(self, unit: Unit) -> Rate:
        """Billionths of the currency for one millisecond, or one character."""
        if unit is Unit.AUDIO:
            return self.audio_minute * 1e9 / 60_000
        return self.thousand_characters * 1e9 / 1000


_UNLIMITED: Final = Quota()
_FREE: Final = Price()


class QuotaSettings(ServiceSettings):
    """What either service can be told about quotas and costs."""

    quotas: dict[str, Quota] = Field(
        {}, description='JSON, by client, "*" for the others: {"*": {"audio_seconds_per_day": 3600}}.'
    )
    quota_redis_url: SecretStr = Field(
        SecretStr(""),
        description="Where replicas count together, as redis://:password@host:6379/0; empty: each by itself.",
    )
    quota_redis_seconds: PositiveSeconds = Field(
        1.0, le=60, description="So long Redis may take to answer; then it counts as away."
    )
    quota_when_away: Literal["open", "closed"] = Field(
        "open", description="While Redis is away: open lets calls in uncounted, closed refuses them."
    )
    prices: dict[str, Price] = Field(
        {}, description='JSON, by model, "*" for the others: {"*": {"audio_minute": 0.006}}.'
    )
    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="Of the prices, by ISO 4217.")
    usage_days: PositiveInt = Field(400, le=3650, description="How long it is kept who used how much.")
    operators: str = Field(
        "", max_length=1000, description="Clients that may see what others have used, as a,b,c."
    )

    @field_validator("quota_redis_url")
    @classmethod
    def _is_url(cls, url: SecretStr) -> SecretStr:
        schemes = ("redis://", "rediss://", "unix://")
        if url.get_secret_value() and not url.get_secret_value().startswith(schemes):
            raise ValueError(f"begins with none of {', '.join(schemes)}")
        return url

    @property
    def bill_seconds(self) -> float:
        """How long what was begun may still go on."""
        return max(self.max_request_seconds, self.resume_token_seconds)

    @property
    def operator_names(self) -> frozenset[str]:
        """The clients that may see all."""
        return frozenset(name for name in (part.strip() for part in self.operators.split(",")) if name)

    def quota_of(self, client: str) -> Quota:
        """What ``client`` may use."""
        return self.quotas.get(client) or self.quotas.get(_EVERYONE) or _UNLIMITED

    def price_of(self, model: str) -> Price:
        """What the work of ``model`` costs."""
        return self.prices.get(model) or self.prices.get(_EVERYONE) or _FREE
