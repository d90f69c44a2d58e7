"""How a capacity is shared."""

from __future__ import annotations

import pytest

from earshot.runtime.room import Room

ANNA, BOB = ("anna",), ("bob",)


def taken(room: Room, line: tuple[str, ...], most: int = 1000) -> int:
    """How many of one piece each ``line`` gets."""
    for count in range(most):
        if not (room.has(1) and room.has_for(line, 1)):
            return count
        room.take(line, 1)
    return most


@pytest.mark.parametrize(
    ("capacity", "least", "alone"), [(1, 1, 1), (2, 1, 2), (5, 1, 4), (65, 1, 52), (9, 9, 9)]
)
def test_one_alone_gets_most_of_it(capacity: int, least: int, alone: int) -> None:
    assert taken(Room(capacity, least), ANNA) == alone


def test_there_is_room_beside_many_who_take_all_they_get() -> None:
    room = Room(65, 1)
    assert [taken(room, (f"flood {number}",)) for number in range(2)] == [52, 11]
    assert taken(room, BOB) > 0
    assert room.held <= 65


def test_a_group_leaves_room_however_many_names_it_makes_up() -> None:
    room = Room(65, 1)
    for number in range(1000):
        taken(room, ("others", str(number)))
    assert room.held == 52
    assert taken(room, ANNA) == 11


def test_in_a_group_too_one_leaves_room_for_another() -> None:
    room = Room(65, 1)
    assert taken(room, ("others", "flood")) < 52
    assert taken(room, ("others", "light")) > 0


def test_the_first_always_fits() -> None:
    room = Room(10, 0)
    assert room.has(50)
    assert room.has_for(ANNA, 50)
    room.take(ANNA, 50)
    assert not room.has(1)


def test_nothing_is_kept_of_who_holds_nothing() -> None:
    room = Room(10, 0)
    for share in (0.1, 0.3, 0.7, 0.15) * 100:
        room.take(("others", "bob"), share)
        room.take(ANNA, 1)
        room.take(("others", "bob"), -share)
        room.take(ANNA, -1)
    assert room.held == 0
    assert not vars(room)["_held"]
