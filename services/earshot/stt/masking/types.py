"""What is looked for in a list of words, and what is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

_EDGES: Final = re.compile(r"^[^\w@+]+|[^\w@]+$")


@dataclass(frozen=True, slots=True)
class Found:
    """Words ``start`` to ``end``, the end not included, that are a ``kind`` of personal data."""

    start: int
    end: int
    kind: str  # as stt.types.Redaction has it


class Finder(Protocol):
    """What finds one kind of personal data among words."""

    def found(self, words: Sequence[str]) -> list[Found]: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the words beside themselves."""

    language: str  # as "en"; empty where it is not known
    names: Finder | None = None  # what finds names of persons
    goes_on: bool = False  # before the first word and after the last there may be more: a stretch of a stream


def bare(word: str) -> str:
    """A word in lower case, without the punctuation around it."""
    return _EDGES.sub("", word.lower())
