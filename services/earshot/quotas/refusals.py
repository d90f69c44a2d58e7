"""What a client is told that has used up what it may use."""

from __future__ import annotations

from earshot import errors
from earshot.quotas.ledger import Limits
from earshot.quotas.types import Refused, Unit
from earshot.quotas.windows import Window, utc

_WORDS = {Unit.AUDIO: "seconds of audio", Unit.CHARACTERS: "characters"}


def quota_name(unit: Unit, window: Window) -> str:
    """As audio_seconds_per_day."""
    return f"{unit.value}_per_{window.value}"


def quota_exceeded(
    client: str, unit: Unit, refused: Refused, limits: Limits, now: float
) -> errors.QuotaExceededError:
    """The error for a bill that does not fit; ``now`` in seconds since the epoch."""
    window = tuple(Window)[refused.window]
    limit, used, owed = (
        amount / unit.per_whole for amount in (limits[refused.window], refused.used, refused.owed)
    )
    resets = window.ends_after(utc(now))
    never = owed > limit
    words = _WORDS[unit]
    needs = f", and this needs {owed:.10g} more" if owed else ""
    advice = "send less at once" if never else f"it resets at {resets:%Y-%m-%dT%H:%M:%SZ}"
    return errors.QuotaExceededError(
        f"{client} has used {used:.10g} of {limit:.10g} {words} per {window}{needs}: {advice}",
        retry_after=0.0 if never else max(0.001, resets.timestamp() - now),
        subject=f"client:{client}",
        quota=errors.Quota(quota_name(unit, window), limit, used, resets.timestamp()),
    )
