"""Turns, ratios, what is written down, and the page that is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import harness, page
from benchmarks.harness import Curve, Figure, Ratio, Report, Scale, Table


def test_contenders_take_turns_and_no_one_is_always_first() -> None:
    turns: list[str] = []

    def contender(name: str, figure: float) -> float:
        turns.append(name)
        return figure

    runs = harness.interleaved({"a": lambda: contender("a", 1.0), "b": lambda: contender("b", 2.0)}, 3)

    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert runs == {"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0]}


def test_a_ratio_is_of_figures_of_one_round() -> None:
    ratio = Ratio.of("a / b", [1.0, 4.0, 9.0], [1.0, 2.0, 3.0])

    assert (ratio.median, ratio.lowest, ratio.highest) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("bar", "met"), [(">= 2", True), (">= 2.1", False), ("<= 2", True), ("<= 1.9", False), ("", None)]
)
def test_a_bar_is_met_by_the_median(bar: str, met: bool | None) -> None:
    assert Ratio("a / b", 2.0, 0.0, 9.0, bar).met is met


SUMMARY = "<!-- figures: summary -->\nold\n<!-- end -->\n"


def _place(name: str) -> str:
    return f"<!-- figures: {name} -->\n<!-- end -->\n"


def _report() -> Report:
    return Report(
        "Ours against theirs",
        "What was done.",
        ratios=[Ratio("ours / theirs", 1.23456, 1.1, 1.3, ">= 1.2"), Ratio("no bar", 0.5, 0.4, 0.6)],
        figures=[Figure.of("ours", "calls/s", [1234.5, 1300.0, 1200.0])],
        tables=[Table("Sizes", ("codec", "share"), (("opus", 0.09375), ("flac", 0.5)))],
        curves=[Curve("ours", "audio, s", "time, s", ((1.0, 0.5), (100.0, 40.0)))],
    )


def test_what_is_saved_can_be_read_again_with_machine_and_versions(tmp_path: Path) -> None:
    path = harness.save("ours", _report(), Scale(short=True), tmp_path)

    report, saved = harness.load(path)
    assert [ratio.median for ratio in report.ratios] == [1.235, 0.5]
    assert report.ratios[0].met
    assert saved["command"] == "python -m benchmarks ours --short"
    assert saved["machine"]["cores"] > 0
    assert saved["versions"]["grpcio"]
    assert json.loads(path.read_text())["figures"][0]["runs"] == [1234.0, 1300.0, 1200.0]


def test_the_page_has_what_was_saved_between_its_markers(tmp_path: Path) -> None:
    harness.save("ours", _report(), Scale(), tmp_path)
    text = f"# Speed\n\n{SUMMARY}\nwords\n{_place('ours')}"

    made = page.rendered(text, tmp_path)

    assert "| ours / theirs | 1.24 | >= 1.2 | met |" in made
    assert "| no bar | **0.5** | 0.4 to 0.6 |  |" in made
    assert "| ours | 1,234 calls/s | 3 |" in made
    assert "| opus | 0.0938 |" in made
    assert "![Ours against theirs](performance/ours.png)" in made
    assert ("words" in made, "old" in made) == (True, False)
    assert page.rendered(made, tmp_path) == made


def test_no_result_is_left_out(tmp_path: Path) -> None:
    harness.save("ours", _report(), Scale(), tmp_path)

    with pytest.raises(LookupError, match="ours"):
        page.rendered(_place("other"), tmp_path)


def test_a_place_without_a_result_says_how_to_get_one(tmp_path: Path) -> None:
    assert "`python -m benchmarks other`" in page.rendered(_place("other"), tmp_path)


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    plots = pytest.importorskip("benchmarks.plots")

    plots.draw("ours", _report(), tmp_path)

    assert (tmp_path / "ours.png").read_bytes().startswith(b"\x89PNG")
