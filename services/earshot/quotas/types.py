"""What is counted, how far, and at what price. Knows no gRPC and no store."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """What is counted, in whole numbers: audio in milliseconds, texts in characters."""

    AUDIO = "audio_seconds"
    CHARACTERS = "characters"

    @property
    def per_whole(self) -> int:
        """How many are one of what its name says."""
        return 1000 if self is Unit.AUDIO else 1


def milliseconds(seconds: float) -> int:
    """A length of audio as it is counted."""
    return round(seconds * Unit.AUDIO.per_whole)


# (unit, model) to what one of the unit costs, in billionths of the currency.
Rate = float
ANYONE: Final = "anonymous"  # who has no name


@dataclass(frozen=True, slots=True)
class Bill:
    """What a piece of work adds up to. The same ``key`` is never paid for twice."""

    client: str
    model: str
    unit: Unit
    key: str
    total: int  # over all that has been paid by this key
    base: int = 0  # of it, what is not this work's to pay
    rate: Rate = 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """A bill that has been paid, by the one who may take it back."""

    bill: Bill
    holder: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing has been paid: it would have gone over the limit of this window."""

    window: int  # its place in ``windows.Window``
    used: int
    owed: int


@dataclass(slots=True)
class Used:
    """What a client has used of a model on a day."""

    calls: int = 0
    audio: int = 0  # milliseconds
    characters: int = 0
    cost: int = 0  # billionths of the currency


@dataclass(frozen=True, slots=True)
class Account:
    """One line of what was used."""

    client: str
    day: str  # as 2026-11-25, UTC
    model: str
    used: Used = field(default_factory=Used)
