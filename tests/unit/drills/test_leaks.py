"""What a soak judges, on processes that are made up: each leak is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills import leaks
from tests.drills.drill import Result
from tests.drills.watch import AUDIO, Look, Moment, Segment, Who

ENGINE = Who("stt engines", 7, 1.0)
FRONT = Who("stt", 6, 1.0)
FLAG = Segment(1, "/memfd:earshot-cancel (deleted)")
LOG = Path("/state/logs/stt-1.log")

Change = Callable[[int, Look], Look]


def _moments(change: Change = lambda _, look: look, count: int = 100) -> list[Moment]:
    """Of two processes, of which the engine changes."""
    steady = [Look(number * 5.0, 100.0, 10, 4, {FLAG: 4096}) for number in range(count)]
    return [
        Moment({FRONT: look, ENGINE: change(number, look)}, {LOG: 100}) for number, look in enumerate(steady)
    ]


def _judged(moments: list[Moment], before: list[Moment], after: list[Moment]) -> Result:
    result = Result()
    leaks.judge_processes(leaks.at_rest(before), moments, leaks.at_rest(after), result)
    leaks.judge_memory(moments, result)
    leaks.judge_rest(leaks.at_rest(before), leaks.at_rest(after), result)
    leaks.judge_logs(leaks.at_rest(before), leaks.at_rest(after), 10, result)
    return result


def _left(change: Change) -> list[str]:
    """What is said where rest is so changed afterwards."""
    return _judged(_moments(), _moments(), _moments(change)).broken


def test_a_stack_that_stays_as_it_was_is_found_well() -> None:
    result = _judged(_moments(), _moments(), _moments())

    assert result.broken == []
    assert result.counts["processes"] == 2
    assert (
        result.counts["MiB an hour, the steepest of each kind"]
        == "stt 0.0 (0.0 to 0.0), stt engines 0.0 (0.0 to 0.0)"
    )


def test_memory_that_grows_is_named_by_its_process() -> None:
    growing = _moments(lambda number, look: replace(look, memory=100 + number * 5 / 3600 * 3))

    assert _judged(growing, _moments(), _moments()).broken == [
        "stt engines 7 grows by 3.0 (3.0 to 3.0) MiB an hour"
    ]


@pytest.mark.parametrize("what", ["descriptors", "threads"])
def test_a_single_one_more_at_rest_is_too_many(what: str) -> None:
    more = _left(lambda _, look: replace(look, **{what: getattr(look, what) + 1}))  # type: ignore[arg-type]

    assert more == [f"stt engines 7 has 1 {what} more"]


def test_what_is_held_at_one_moment_of_rest_is_not_left() -> None:
    assert _left(lambda number, look: replace(look, descriptors=10 + (number == 3))) == []


def test_audio_that_is_left_is_found_even_where_it_was_before() -> None:
    def hold(_: int, look: Look) -> Look:
        return replace(look, segments={FLAG: 4096, Segment(2, AUDIO): 9_600_000})

    assert _judged(_moments(), _moments(hold), _moments(hold)).broken == [
        f"stt engines 7 still holds {AUDIO}"
    ]


def test_another_flag_is_found() -> None:
    found = _left(lambda _, look: replace(look, segments={FLAG: 4096, replace(FLAG, number=2): 4096}))

    assert found == [f"stt engines 7 still holds {FLAG.name}"]


def test_a_worker_that_is_replaced_came_and_went() -> None:
    late = replace(ENGINE, pid=8)
    moments = _moments()
    moments[50:] = [
        Moment({FRONT: one.processes[FRONT], late: one.processes[ENGINE]}, {}) for one in moments[50:]
    ]

    result = Result()
    leaks.judge_processes(leaks.at_rest(_moments()), moments, leaks.at_rest(_moments()), result)

    assert result.broken == ["came: stt engines 8", "went: stt engines 7"]
    assert result.counts["that came or went"] == 2


def test_a_process_that_is_seen_twice_is_told_and_ends_no_soak() -> None:
    brief = replace(ENGINE, pid=9)
    moments = _moments()
    moments[50:52] = [
        Moment({**one.processes, brief: one.processes[ENGINE]}, one.files) for one in moments[50:52]
    ]

    assert _judged(moments, _moments(), _moments()).broken == ["came: stt engines 9"]


def test_a_process_that_ends_after_the_last_call_went() -> None:
    after = [Moment({FRONT: one.processes[FRONT]}, one.files) for one in _moments()]

    assert "went: stt engines 7" in _judged(_moments(), _moments(), after).broken


def test_files_that_are_left_are_named() -> None:
    after = [replace(one, files={LOG: 100, Path("/tmp/x"): 0}) for one in _moments()]

    assert _judged(_moments(), _moments(), after).broken == ["left behind: /tmp/x"]


def test_logs_may_not_grow_by_more_than_a_line_a_call() -> None:
    after = [replace(one, files={LOG: 20_000}) for one in _moments()]

    assert _judged(_moments(), _moments(), after).broken == ["files grew by 19,900 bytes in 10 calls"]


def test_all_of_each_process_is_told() -> None:
    rest = leaks.at_rest(_moments())
    told = leaks.told(rest, _moments(lambda number, look: replace(look, threads=4 + (number == 9))), rest)

    assert [one["process"] for one in told] == ["stt 6", "stt engines 7"]
    assert told[1]["threads"] == [4, 5, 4]
