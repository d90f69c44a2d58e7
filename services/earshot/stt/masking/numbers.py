"""Digits among words, spoken or written: ``four one one`` as well as ``411``.

Numbers in words are found by text2num, which knows nine languages; what is between digits and says none
(``dash``) does not end a run of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from text_to_num import find_numbers

from earshot.stt.masking.types import Context, bare

LANGUAGES: Final = frozenset({"ca", "da", "de", "en", "es", "fr", "it", "nl", "pt"})
_BETWEEN: Final = frozenset({"dash", "hyphen", "minus", "slash", "space", "plus", "point"})
_ZEROS: Final = frozenset({"o", "oh"})
_TIMES: Final = {"double": 2, "triple": 3}
_WRITTEN: Final = re.compile(r"[^\w]")


@dataclass(frozen=True, slots=True)
class Run:
    """Words ``start`` to ``end``, the end not included, that say ``digits``."""

    start: int
    end: int
    digits: str
    plus: bool = False  # a plus comes before: an international number

    def at_edge(self, words: int) -> bool:
        """Whether it is the first or the last thing said, of so many words."""
        return self.start == 0 or self.end == words


@dataclass(frozen=True, slots=True)
class _Word:
    """A ``text_to_num.Token``."""

    word: str

    def text(self) -> str:
        return self.word

    def nt_separated(self, previous: _Word) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return False


def runs(words: Sequence[str], context: Context) -> list[Run]:
    """All digits, those that follow each other together."""
    said = [bare(word) for word in words]
    digits = _digits(words, said, context.language)
    found: list[Run] = []
    position = 0
    while position < len(words):
        end, run = _run(position, said, digits)
        if run:
            plus = "+" in words[position] or (position > 0 and said[position - 1] == "plus")
            found.append(Run(position, end, run, plus))
        position = max(end, position + 1)
    return found


def _run(start: int, said: list[str], digits: list[str | None]) -> tuple[int, str]:
    """The end of what begins at ``start``, and its digits."""
    end, run, times, position = start, "", 1, start
    while position < len(said):
        word, here = said[position], digits[position]
        if here is not None:
            run, times, end = run + here * times, 1, position + 1
        elif word in _ZEROS and (run or _follows(digits, position)):
            run, end = run + "0", position + 1
        elif word in _TIMES:
            times = _TIMES[word]
        elif not (run and word in _BETWEEN):
            break
        position += 1
    return end, run


def _follows(digits: list[str | None], position: int) -> bool:
    """Whether a digit comes next: an ``oh`` before one is a zero."""
    return position + 1 < len(digits) and digits[position + 1] is not None


def _digits(words: Sequence[str], said: list[str], language: str) -> list[str | None]:
    """What each word says in digits; None: it says none. The first word of a number says all of it."""
    digits = [_written(word) for word in words]
    if language not in LANGUAGES:
        return digits
    for number in find_numbers([_Word(word) for word in said], language, threshold=0.0):
        value = re.sub(r"\D", "", number.text)
        if number.is_ordinal or not value:
            continue
        digits[number.start] = value
        for position in range(number.start + 1, number.end):
            digits[position] = ""
    return digits


def _written(word: str) -> str | None:
    """The digits of a word that has nothing else but punctuation and signs."""
    letters = _WRITTEN.sub("", word)
    return letters if letters.isdecimal() else None
