"""Deadlines on one clock: ``time.monotonic``, which asyncio's loops share."""

from __future__ import annotations

import time
from typing import Any

import grpc


def deadline_of(context: grpc.aio.ServicerContext[Any, Any], longest: float) -> float:
    """When the caller's time is up, at most ``longest`` seconds from now."""
    left = context.time_remaining()
    return time.monotonic() + (longest if left is None else min(left, longest))


def time_left(deadline: float) -> float:
    """Seconds until ``deadline``; 0 when it has passed."""
    return max(0.0, deadline - time.monotonic())
