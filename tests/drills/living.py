"""Who has lived through a drill."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.drills.drill import Result
from tests.drills.stack import SERVICES, Stack


async def living(stack: Stack) -> dict[str, int]:
    """The processes that a stack is made of, by their names: who starts them, Envoy, the replicas."""
    rows = [row for service in SERVICES for row in await stack.replicas(service)]
    replicas = {str(row["name"]): int(row["pid"]) for row in rows}
    ended = stack.process.returncode is not None
    return {"earshot up": 0 if ended else stack.process.pid, "Envoy": stack.envoy() or 0, **replicas}


def judge(
    before: Mapping[str, int], after: Mapping[str, int], result: Result, but: Collection[str] = ()
) -> None:
    """All that were there must be the same processes still, ``but`` those that the drill has killed."""
    spared = {name: pid for name, pid in before.items() if name not in but}
    died = [name for name, pid in spared.items() if after.get(name) != pid]
    result.counts["processes that lived through it"] = len(spared) - len(died)
    result.must(not died, f"died of it: {', '.join(died)}")
    absent = [name for name in but if not after.get(name)]
    result.must(not absent, f"not there again: {', '.join(absent)}")
    missed = [name for name in but if after.get(name) == before[name]]
    result.must(not missed, f"were to be killed, and were not: {', '.join(missed)}")
