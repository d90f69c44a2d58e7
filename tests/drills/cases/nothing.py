"""Nothing happens."""

from __future__ import annotations

from tests.drills.drill import Drill, World


async def _fault(world: World) -> None:
    """None."""


DRILL = Drill("nothing", "nothing happens", _fault)
