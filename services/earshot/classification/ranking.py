"""Scores to an answer: the highest first, and only as many as were asked for.

Runs in the front process: plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a ranking is wanted."""

    top_k: int | None = None  # at least 1; None: all
    threshold: float | None = None  # 0 to 1; None: all


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label as the request has it, and its score from 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer for one text: the highest score first."""

    labels: tuple[LabelScore, ...]
    none_of_these: bool  # no label reached the threshold, or there was nothing to score


NOTHING_SAID: Final = Ranking((), none_of_these=True)
"""The answer for audio without speech."""


def rank(labels: Sequence[str], scores: Sequence[float], cut: Cut) -> Ranking:
    """``scores[i]`` is for ``labels[i]``; labels with equal scores stay in their order."""
    paired = (LabelScore(label, score) for label, score in zip(labels, scores, strict=True))
    ranked = sorted(paired, key=lambda each: -each.score)
    reached = [each for each in ranked if cut.threshold is None or each.score >= cut.threshold]
    return Ranking(tuple(reached[: cut.top_k]), none_of_these=not reached)
