"""The page about speed says what was measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import page
from benchmarks.__main__ import known
from benchmarks.harness import RESULTS

SAVED = sorted(RESULTS.glob("*.json"))


def test_the_page_is_made_of_the_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")

    assert page.rendered(text) == text, "run python -m benchmarks --page"


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_result_is_of_a_benchmark_that_there_is_and_not_of_its_short_form(path: object) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]

    assert saved["name"] in known()
    assert "--short" not in saved["command"]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_a_plot_is_there_where_there_are_curves(path: object) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    drawn = page.PAGE.parent / page.PLOTS / f"{saved['name']}.png"

    assert drawn.is_file() == bool(saved["curves"])
