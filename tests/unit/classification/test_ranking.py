"""Scores to an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.classification.ranking import NOTHING_SAID, Cut, rank

LABELS = ("low", "high", "middle", "also high")
SCORES = (0.1, 0.4, 0.2, 0.4)

scores = st.lists(st.floats(0, 1), min_size=1, max_size=20)
cuts = st.builds(Cut, st.none() | st.integers(1, 25), st.none() | st.floats(0, 1))


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (Cut(), ["high", "also high", "middle", "low"]),
        (Cut(top_k=1), ["high"]),
        (Cut(top_k=3), ["high", "also high", "middle"]),
        (Cut(top_k=100), ["high", "also high", "middle", "low"]),
        (Cut(threshold=0.2), ["high", "also high", "middle"]),
        (Cut(threshold=0.0), ["high", "also high", "middle", "low"]),
        (Cut(top_k=1, threshold=0.2), ["high"]),
        (Cut(threshold=0.41), []),
    ],
)
def test_the_best_come_first_and_no_more_than_asked(cut: Cut, expected: list[str]) -> None:
    ranking = rank(LABELS, SCORES, cut)
    assert [each.label for each in ranking.labels] == expected
    assert ranking.none_of_these == (not expected)


def test_scores_stay_with_their_labels() -> None:
    assert {each.label: each.score for each in rank(LABELS, SCORES, Cut()).labels} == dict(
        zip(LABELS, SCORES, strict=True)
    )


def test_labels_without_scores_are_a_fault() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rank(LABELS, SCORES[:2], Cut())


def test_nothing_said_is_none_of_these() -> None:
    assert (NOTHING_SAID.labels, NOTHING_SAID.none_of_these) == ((), True)


@given(scores, cuts)
def test_invariants(values: list[float], cut: Cut) -> None:
    labels = [str(index) for index in range(len(values))]
    ranking = rank(labels, values, cut)
    found = [(each.score, -int(each.label)) for each in ranking.labels]
    assert found == sorted(found, reverse=True)  # ties in the labels' order
    assert all(values[int(each.label)] == each.score for each in ranking.labels)
    reached = [value for value in values if cut.threshold is None or value >= cut.threshold]
    assert len(found) == min(len(reached), cut.top_k or len(values))
    assert ranking.none_of_these == (not reached)
