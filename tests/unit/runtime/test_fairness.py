"""Whose work is next."""

from __future__ import annotations

import pytest

from earshot.runtime.fairness import FairLines
from earshot.runtime.labels import OTHER, Clients, Line

FLOOD, OTHER_FLOOD, LIGHT = ("flood",), ("other flood",), ("light",)


def served(lines: FairLines[str], costs: dict[str, float] | None = None) -> list[str]:
    """All that waits, in the order in which one worker takes it; a job's line is its name's first word."""
    order = []
    while job := lines.take():
        order.append(job)
        name = job.split()[0]
        lines.charge((name,), (costs or {}).get(name, 1.0))
    return order


def filled(*jobs: str) -> FairLines[str]:
    lines: FairLines[str] = FairLines()
    for job in jobs:
        lines.put(job, (job.split()[0],))
    return lines


def test_one_client_is_served_in_the_order_of_arrival() -> None:
    assert served(filled("a 1", "a 2", "a 3")) == ["a 1", "a 2", "a 3"]


def test_two_clients_take_turns_however_much_the_one_asks_for() -> None:
    lines = filled(*(f"a {number}" for number in range(100)), "b 1", "b 2")
    assert served(lines)[:4] == ["b 1", "a 0", "b 2", "a 1"]


def test_turns_go_by_work_and_not_by_jobs() -> None:
    lines = filled(*(f"long {number}" for number in range(9)), *(f"short {number}" for number in range(9)))
    order = served(lines, {"long": 3.0, "short": 1.0})
    assert sum(job.startswith("short") for job in order[:8]) == 6


def test_who_was_away_has_saved_nothing_up() -> None:
    lines = filled(*(f"a {number}" for number in range(50)))
    for _ in range(20):
        lines.take()
        lines.charge(("a",), 1.0)
    for number in range(20):
        lines.put(f"b {number}", ("b",))
    first = served(lines)[:10]
    assert sum(job.startswith("b") for job in first) == pytest.approx(5, abs=1)


def test_who_asks_seldom_is_next_whenever_it_asks() -> None:
    lines: FairLines[str] = FairLines()
    for number in range(30):
        lines.put(f"flood {number}", FLOOD)
        lines.put(f"other {number}", OTHER_FLOOD)
    for asked in range(5):
        for _ in range(4):
            job = lines.take()
            lines.charge(FLOOD if job and job.startswith("flood") else OTHER_FLOOD, 1.0)
        lines.put(f"light {asked}", LIGHT)
        assert lines.take() == f"light {asked}"
        lines.charge(LIGHT, 1.0)


def test_a_group_has_the_share_of_one_however_many_are_in_it() -> None:
    lines: FairLines[str] = FairLines()
    for number in range(40):
        lines.put(f"stranger {number}", (OTHER, f"name {number}"))
        lines.put(f"ours {number}", ("ours",))
    order = []
    for _ in range(20):
        job = lines.take()
        assert job
        order.append(job.split()[0])
        lines.charge(("ours",) if job.startswith("ours") else (OTHER, f"name {job.split()[1]}"), 1.0)
    assert order.count("ours") == 10


def test_what_was_lost_goes_first_in_its_own_line() -> None:
    lines = filled("a 1", "a 2")
    lines.put("a 0", ("a",), first=True)
    assert served(lines) == ["a 0", "a 1", "a 2"]


def test_what_nobody_waits_for_is_gone_at_once() -> None:
    lines = filled("a 1", "a 2", "b 1")
    lines.drop("a 1", ("a",))
    lines.drop("b 1", ("b",))
    lines.drop("b 1", ("b",))
    assert len(lines) == 1
    assert served(lines) == ["a 2"]
    assert len(lines) == 0


def test_known_clients_have_lines_of_their_own_and_strangers_a_bounded_number() -> None:
    clients = Clients(["ours"])
    assert clients.line({"x-earshot-client": "ours"}) == ("ours",)
    strangers = {clients.line({"x-earshot-client": f"name {number}"}) for number in range(10_000)}
    assert {line[0] for line in strangers} == {OTHER}
    assert 200 < len(strangers) <= 256


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"x-earshot-client": "a"}, {"x-earshot-client": "a", "x-forwarded-for": "9.9.9.9"}, True),
        ({"x-forwarded-for": "1.1.1.1,10.0.0.7"}, {"x-forwarded-for": "2.2.2.2,10.0.0.7"}, True),
        ({}, {}, True),
        ({"x-forwarded-for": "10.0.0.7"}, {"x-forwarded-for": "10.0.0.8"}, False),
    ],
    ids=["a name beats an address", "callers do not choose their address", "nothing known", "addresses"],
)
def test_strangers_are_told_apart_by_what_the_edge_knows(
    one: dict[str, str], other: dict[str, str], same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earshot.runtime.labels._STRANGERS", 2**60)  # two that are told apart do not meet
    clients = Clients([])
    lines: tuple[Line, Line] = (clients.line(one), clients.line(other))
    assert (lines[0] == lines[1]) == same
