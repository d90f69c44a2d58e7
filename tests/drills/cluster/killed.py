"""Beside what is away, one pod of a kind is killed: its node must start it again by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from tests.cluster.kube import Document, name_of, restarts, until
from tests.drills.cluster.stage import AWAY_SECONDS, COMPONENTS, Stage
from tests.drills.drill import Result

_PATIENCE: Final = 120  # seconds until the API server says so


def kill_in_turn(
    victims: list[Document], kill: Callable[[Document], None], pause: Callable[[float], None]
) -> None:
    """Over the time for which the other thing is away. ``pause`` waits for so many seconds."""
    for victim in victims:
        kill(victim)
        pause(AWAY_SECONDS / len(victims))


def one_of_each(stage: Stage, components: Iterable[str] = COMPONENTS) -> list[Document]:
    """A pod of each of these kinds, of which another one stays."""
    return [stage.release.pods(component)[-1] for component in components]


def judge_back(stage: Stage, victims: list[Document], result: Result) -> None:
    """Each must have been started again, in its place. Raises TimeoutError where one was not."""
    before = {name_of(pod): restarts(pod) for pod in victims}

    def back() -> bool:
        found = {name_of(pod): restarts(pod) for part in COMPONENTS for pod in stage.release.pods(part)}
        return all(found.get(name, 0) > count for name, count in before.items())

    until(back, _PATIENCE, "all that were killed have been started again")
    result.counts["pods killed meanwhile"] = len(victims)
