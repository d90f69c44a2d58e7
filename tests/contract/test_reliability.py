"""What pages say of drills is what they have come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drills import page, results
from tests.drills.cases import ALL


@pytest.mark.parametrize("path", page.PAGES, ids=lambda path: path.name)
def test_tables_are_made_of_the_results(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert "<!-- drills: " in text
    assert page.rendered(text, results.load()) == text, "run python -m tests.drills --page"


@pytest.mark.parametrize("row", results.load(), ids=lambda row: row.name)
def test_a_result_is_of_a_drill_that_there_is(row: results.Row) -> None:
    assert row.name in {drill.name for drill in ALL}


@pytest.mark.parametrize("row", results.load(), ids=lambda row: row.name)
def test_a_result_that_is_published_held(row: results.Row) -> None:
    assert row.broken == [], "mend what it shows, and do the drill again"


def test_each_drill_has_a_name_of_its_own() -> None:
    assert len({drill.name for drill in ALL}) == len(ALL)


def test_drills_of_one_scene_follow_on_each_other() -> None:
    """Else the scene would be made twice."""
    scenes = [drill.scene for drill in ALL]
    runs = [scene for at, scene in enumerate(scenes) if at == 0 or scenes[at - 1] is not scene]

    assert len(runs) == len(set(scenes))
