"""One drill in each file."""

from __future__ import annotations

from tests.drills.cases import (
    drain,
    kill_engine,
    kill_envoy,
    kill_listener,
    kill_replica,
    latency,
    narrow,
    nothing,
    resets,
    scale,
    silence,
)

ALL = tuple(
    module.DRILL
    for module in (
        nothing,
        kill_replica,
        kill_engine,
        kill_listener,
        kill_envoy,
        drain,
        scale,
        resets,
        latency,
        narrow,
        silence,
    )
)
"""All of them, in the order in which they run; the first is what the others are held against."""
