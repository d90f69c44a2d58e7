"""What drills on a cluster have in common: their scene, and what must hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final, TypeVar

from tests.cluster.power import OURS
from tests.drills.cluster.judging import drilled
from tests.drills.cluster.stage import Fault, Stage, staged
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.speech import SHARED

_T = TypeVar("_T")
_MUST: Final = (
    "no call fails, no answer is wrong; every stream is complete, no digit lost or doubled; "
    "nothing is stuck after"
)


@contextlib.asynccontextmanager
async def two_nodes(_form: Form) -> AsyncIterator[Stage]:
    """A release on both, which hears digits."""
    stack = contextlib.ExitStack()
    try:
        stage = await in_thread(stack.enter_context, staged(SHARED))
    except LookupError as exc:
        raise CannotError(str(exc)) from exc
    try:
        yield stage
    finally:
        await in_thread(stack.close)


async def in_thread(work: Callable[..., _T], *args: object) -> _T:
    """A thread cannot be stopped: one that is late is waited for, so that it does nothing beside the next."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def on_cluster(name: str, title: str, fault: Fault, *, breaks: bool = False, switch: str = "") -> Drill:
    """The fault beside calls and streams from pods; it leaves the cluster as it was. ``breaks``: streams must
    have connected anew for it. ``switch``: what it turns off, which only the cluster of this machine lets us.
    """

    async def run(stage: Stage, _form: Form) -> Result:
        if switch and os.environ.get("KUBECONFIG") != OURS:
            raise CannotError(f"needs a cluster whose {switch} can be switched: that of {OURS}")
        return await in_thread(partial(drilled, stage, fault, breaks=breaks))

    return Drill(name, title, _MUST, two_nodes, run, short=False, cluster=True)
