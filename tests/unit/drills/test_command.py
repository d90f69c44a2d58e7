"""What is chosen, what is kept of it, and how the command ends."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.drills import __main__ as command
from tests.drills import page, results
from tests.drills.drill import CannotError, Drill, Form, Result


@asynccontextmanager
async def _nowhere(_: Form) -> AsyncIterator[None]:
    yield


def _drill(name: str, *broken: str, cannot: str = "", **more: Any) -> Drill:
    async def run(_made: None, _form: Form) -> Result:
        if cannot:
            raise CannotError(cannot)
        return Result({"calls": 1}, list(broken))

    return Drill(name, f"the load of {name}", "something", _nowhere, run, **more)


class Command:
    """``python -m tests.drills`` with drills of its own, whose results lie elsewhere."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.page = folder / "page.md"
        self.page.write_text("<!-- drills: machine -->\n<!-- end -->\n")
        self._patch = patch
        patch.setattr(results, "SAVED", folder / "results.json")
        patch.setattr(page, "PAGES", (self.page,))
        patch.setattr(command, "SHARED", folder)
        patch.setattr(command, "MUST_BE_DONE", False)

    def run(self, drills: list[Drill], *arguments: str) -> None:
        """Raises SystemExit where it ends with an error."""
        for module in (command, page):
            self._patch.setattr(module, "ALL", tuple(drills))
        self._patch.setattr(sys, "argv", ["drills", *arguments])
        command.main()

    @property
    def kept(self) -> dict[str, str]:
        """The verdicts, by the drill's name."""
        return {row.name: row.verdict for row in results.load()}


@pytest.fixture
def drills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def test_what_has_come_of_each_is_kept_and_shown(drills: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="did not hold: b, c"):
        drills.run([_drill("a"), _drill("b", "a call failed"), _drill("c", "one was lost"), _drill("d")])

    assert drills.kept == {
        "a": "held",
        "b": "did not hold: a call failed",
        "c": "did not hold: one was lost",
        "d": "held",
    }
    assert "| the load of b | something | 1 calls | did not hold: a call failed |" in drills.page.read_text()
    assert "drills: 2 held, 2 did not hold; " in capsys.readouterr().out.splitlines()[-1]


def test_the_short_form_keeps_nothing_and_says_what_it_may_take(
    drills: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    drills.run([_drill("a"), _drill("b", short=False)], "--short")

    assert drills.kept == {}
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("drills: 1 held; ")
    assert said.endswith(" s in all of 480 that the short form may take")


def test_what_is_not_done_takes_no_result_away(drills: Command) -> None:
    drills.run([_drill("a"), _drill("b")], "--only", "a")
    drills.run([_drill("a", cannot="it takes root"), _drill("b", cannot="there is no redis-server")])

    assert drills.kept == {"a": "held", "b": "not done: there is no redis-server"}
    shown = drills.page.read_text()
    assert "| the load of a | something | 1 calls | held |" in shown
    assert "| the load of b | something |  | not done: there is no redis-server |" in shown

    drills.run([_drill("b", cannot="it takes root")])
    assert drills.kept["b"] == "not done: it takes root"
    drills.run([_drill("b")])
    assert drills.kept["b"] == "held"


def test_where_all_must_be_done_what_is_not_is_a_failure(
    drills: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MUST_BE_DONE", True)
    with pytest.raises(SystemExit, match="did not hold: b"):
        drills.run([_drill("a"), _drill("b", cannot="there is no redis-server")], "--short")


def test_live_streams_are_shown_in_short(drills: Command) -> None:
    drills.page.write_text("<!-- drills: streams -->\n<!-- end -->\n")
    drills.run([_drill("a"), replace(_drill("b"), title="live streams: of b")])

    rows = [line for line in drills.page.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 2
    assert rows[1].startswith("| of b | None of None |")


def test_a_page_of_nothing_that_was_done_says_of_no_day(drills: Command) -> None:
    drills.run([_drill("a", cannot="it takes root")])

    assert "cores" not in drills.page.read_text()


def test_of_what_lasts_as_long_as_one_likes_only_a_releases_time_is_kept(
    drills: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    drills.run([_drill("a", lasting=True), _drill("b")], "--minutes", "5")

    assert drills.kept == {"b": "held"}
    assert "a is not kept: for a release it takes 60 minutes" in capsys.readouterr().out

    drills.run([_drill("a", lasting=True)])
    assert drills.kept == {"a": "held", "b": "held"}


def test_it_is_an_error_to_do_nothing(drills: Command) -> None:
    with pytest.raises(SystemExit, match="no drill of a cluster has a short form"):
        drills.run([_drill("a"), _drill("b", cluster=True, short=False)], "--cluster", "--short")


def test_names_of_what_did_not_hold_are_given_to_who_would_do_them_again(
    drills: Command, tmp_path: Path
) -> None:
    names = tmp_path / "names"
    with pytest.raises(SystemExit):
        drills.run([_drill("a"), _drill("b", "a call failed")], "--short", "--broken", str(names))
    assert names.read_text() == "b\n"

    drills.run([_drill("a"), _drill("b")], "--short", "--broken", str(names))
    assert names.read_text() == ""


def test_a_name_that_there_is_not_is_an_error(drills: Command) -> None:
    with pytest.raises(SystemExit, match="no drill c"):
        drills.run([_drill("a")], "--only", "c")
