"""Whole or not at all, and once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from earshot import errors
from earshot.weights import place


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_nobody_sees_a_draft_under_its_name(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.pt"

    def make(draft: Path) -> None:
        draft.write_text("half")
        assert not target.exists()
        assert draft.parent == target.parent  # a rename within one file system
        draft.write_text("whole")

    place(target, make)
    assert target.read_text() == "whole"
    assert visible(target.parent) == {"model.pt"}


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_draft_that_fails_leaves_nothing(tmp_path: Path, as_folder: bool) -> None:
    def make(draft: Path) -> None:
        if as_folder:
            draft.mkdir()
            draft = draft / "part"
        draft.write_text("half")
        raise errors.UnavailableError("cut off")

    with pytest.raises(errors.UnavailableError, match="cut off"):
        place(tmp_path / "model", make)
    assert visible(tmp_path) == set()


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    stale = tmp_path / ".model.part"
    stale.mkdir()
    (stale / "half").write_text("half")
    place(tmp_path / "model", lambda draft: draft.mkdir())
    assert list((tmp_path / "model").iterdir()) == []


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("there")
    place(tmp_path / "model", lambda _: pytest.fail("made again"))


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[int] = []
    inside, go_on = threading.Event(), threading.Event()

    def make(draft: Path) -> None:
        made.append(1)
        inside.set()
        assert go_on.wait(30)
        draft.write_text("whole")

    threads = [threading.Thread(target=place, args=(tmp_path / "model", make)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert made == [1]
    assert (tmp_path / "model").read_text() == "whole"


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(errors.FailedPreconditionError, match="EARSHOT_CACHE") as caught:
        place(tmp_path / "file" / "model", lambda draft: draft.mkdir())
    assert caught.value.reason == "CACHE_NOT_WRITABLE"


def test_an_error_of_the_maker_is_its_own(tmp_path: Path) -> None:
    def make(draft: Path) -> None:
        (draft / "not there").read_text()

    with pytest.raises(FileNotFoundError):
        place(tmp_path / "model", make)
