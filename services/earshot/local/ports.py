"""Ports on loopback."""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from itertools import islice
from typing import Final

from earshot import errors

LOOPBACK: Final = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections, so that none is taken
# between our finding it free and a child's binding it.
_RANGE: Final = range(20_000, 32_000)
# A port that was given away is free until its server binds it. Until then, and as long as this process
# lives, nobody else is given it: its name in the kernel's table of abstract sockets is ours.
_LEASES: Final[deque[int]] = deque()  # descriptors: they end with the process
_MOST_LEASES: Final = 256  # older ones are bound by now, or will never be


def is_free(port: int) -> bool:
    """Whether a server could bind ``port`` on loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """So many ports that are free now, and that no other call gives away while this process lives.

    Raises:
        ResourceExhaustedError: this machine has not so many.
    """
    shuffled = random.sample(_RANGE, len(_RANGE))
    found = list(islice((port for port in shuffled if is_free(port) and _lease(port)), count))
    if len(found) == count:
        return found
    raise errors.ResourceExhaustedError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")


def _lease(port: int) -> bool:
    """Whether nobody was given ``port`` before us, in this process or another."""
    lease = socket.socket(socket.AF_UNIX)
    try:
        lease.bind(f"\0earshot-port-{port}")
    except OSError:
        lease.close()
        return False
    _LEASES.append(lease.detach())
    if len(_LEASES) > _MOST_LEASES:
        os.close(_LEASES.popleft())
    return True
