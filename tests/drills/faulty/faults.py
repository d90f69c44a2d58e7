"""What is wrong with the workers of these drills: what they are given brings it out."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Final

import numpy as np

CRASH: Final = 1111  # in native code
LOCK: Final = 2222  # for ever
LEAK: Final = 3333
LEAKED: Final = 128 * 2**20  # bytes, each time
WORDS: Final = {"crash": CRASH, "lock": LOCK, "leak": LEAK}  # with which texts begin

_kept: Final[list[bytearray]] = []


def suffer(value: int) -> None:
    """Nothing, unless it is one of those."""
    if value == CRASH:
        ctypes.string_at(0)
    if value == LOCK:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    if value == LEAK:
        _kept.append(bytearray(LEAKED))


def clip(value: int, seconds: float = 1.0) -> bytes:
    """Samples (s16, 16 kHz) that bring ``value`` out."""
    return np.full(round(seconds * 16_000), value, np.int16).tobytes()


def value_of(samples: Any) -> int:
    """The one value of all ``samples``; 0 where they differ, or there are none."""
    return int(samples[0]) if len(samples) and (samples == samples[0]).all() else 0
