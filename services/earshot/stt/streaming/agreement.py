"""The part of an interim result that will stay.

Local agreement (Liu and others 2020, arXiv:2005.11185, as used for Whisper by Macháček, Dabre and Bojar
2023, arXiv:2307.14743): words on which two hypotheses in a row agree are stable, and never taken back
while the stretch lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


class Agreement:
    """The hypotheses of one stretch of speech."""

    def __init__(self) -> None:
        self._stable: list[str] = []
        self._latest: Sequence[str] = ()

    def add(self, text: str) -> tuple[str, str]:
        """Takes the next hypothesis; gives the stable words, and those that may change."""
        words = text.split()
        agreed = [word for word, _ in takewhile(_alike, zip(words, self._latest, strict=False))]
        if len(agreed) > len(self._stable) and agreed[: len(self._stable)] == self._stable:
            self._stable = agreed
        self._latest = words
        return " ".join(self._stable), " ".join(words[len(self._stable) :])


def _alike(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]
