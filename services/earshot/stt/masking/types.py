"""What is looked for in a list of words, and what is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_EDGES: Final = re.compile(r"^[^\w@+]+|[^\w@]+$")


@dataclass(frozen=True, slots=True)
class Found:
    """Words ``start`` to ``end``, the end not included, that are a ``kind`` of personal data."""

    start: int
    end: int
    kind: str  # as stt.types.Redaction has it


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the words beside themselves."""

    language: str  # as "en"; empty where it is not known
    goes_on: bool  # before the first word and after the last there may be more: a stretch of a stream


def bare(word: str) -> str:
    """A word in lower case, without the punctuation around it."""
    return _EDGES.sub("", word.lower())
