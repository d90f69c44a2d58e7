"""One drill in each file."""

from __future__ import annotations

from typing import Final

from tests.drills.cases import (
    accuracy,
    api_server_away,
    broken_worker,
    clock,
    disk_full,
    dns_away,
    drain,
    histories,
    kill_anything,
    kill_engine,
    kill_envoy,
    kill_listener,
    kill_replica,
    latency,
    mutated,
    narrow,
    no_descriptors,
    no_threads,
    node_drained,
    node_without_power,
    nothing,
    overload,
    pods_killed,
    poison,
    resets,
    rolling,
    scale,
    silence,
    slow_callers,
    small_memory,
    soak,
    stores_away,
)

ALL: Final = tuple(
    module.DRILL
    for module in (
        rolling,
        kill_anything,
        slow_callers,
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
        accuracy,
        soak,
        broken_worker,
        poison,
        overload,
        disk_full,
        no_descriptors,
        no_threads,
        small_memory,
        stores_away,
        clock,
        mutated,
        histories,
        node_drained,
        node_without_power,
        api_server_away,
        dns_away,
        pods_killed,
    )
)
"""All of them, in the order in which they run: those of one scene together."""
