"""A pool whose state can be seen: in the metrics, in the log and in the replica's health."""

from __future__ import annotations

import asyncio

from earshot.runtime.health import Health
from earshot.runtime.logs import logger
from earshot.runtime.messages import TaskSpec
from earshot.runtime.metrics import Metrics
from earshot.runtime.pool import Pool, PoolEvents
from earshot.runtime.pool_options import PoolOptions


def observed_pool(
    spec: TaskSpec, options: PoolOptions, metrics: Metrics, health: Health | None = None
) -> Pool:
    """A pool that is a component of ``health``, if given: healthy while one worker at least is ready."""
    running: set[asyncio.Task[None]] = set()

    def on_ready(count: int) -> None:
        metrics.workers_ready.labels(options.name).set(count)
        if health is None:
            return
        task = asyncio.get_running_loop().create_task(health.set(options.name, count > 0))
        running.add(task)  # the loop itself keeps no hold of a task
        task.add_done_callback(running.discard)

    def on_restart(cause: str) -> None:
        metrics.worker_restarts.labels(options.name).inc()
        logger().warning("worker restart", pool=options.name, cause=cause)

    pool = Pool(spec, options, PoolEvents(on_ready, on_restart))
    metrics.workers.labels(options.name).set(options.workers)
    metrics.worker_restarts.labels(options.name)  # at zero from the start: a rate needs a first value
    metrics.worker_busy_seconds.watch(options.name, lambda: pool.busy_seconds)
    metrics.queue_depth.labels(options.name).set_function(lambda: pool.waiting)
    metrics.workers_busy.labels(options.name).set_function(lambda: pool.busy)
    return pool
