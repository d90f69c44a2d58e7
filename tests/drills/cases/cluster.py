"""Two nodes of a real cluster: what befalls nodes, the API server, DNS and pods, under calls and streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.drills.cluster import faults
from tests.drills.cluster.judging import drilled
from tests.drills.cluster.stage import Fault, Stage, staged
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.speech import SHARED

_MUST = "no call fails, no answer is wrong; every stream complete, no digit lost or doubled; nothing stuck after"


@contextlib.asynccontextmanager
async def two_nodes(_form: Form) -> AsyncIterator[Stage]:
    """A release on both, which hears digits."""
    with contextlib.ExitStack() as stack:
        try:
            stage = await asyncio.to_thread(stack.enter_context, staged(SHARED))
        except LookupError as exc:
            raise CannotError(str(exc)) from exc
        yield stage


def _drill(name: str, title: str, fault: Fault) -> Drill:
    async def run(stage: Stage, _form: Form) -> Result:
        return Result(*await asyncio.to_thread(drilled, stage, fault))

    return Drill(name, title, _MUST, two_nodes, run, short=False, cluster=True)


DRILLS = (
    _drill("node_drained", "a node is drained and comes back", faults.drain),
    _drill("node_without_power", "a node loses its power and comes back, three times", faults.power),
    _drill("no_api_server", "the API server says nothing for 60 s", faults.api_server),
    _drill("no_dns", "DNS is away for 60 s, and a pod ends meanwhile", faults.dns),
    _drill("killed_at_random", "Envoys and pods killed at random for 5 minutes", faults.at_random),
)
