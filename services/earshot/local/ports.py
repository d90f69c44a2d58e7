"""Ports on loopback."""

from __future__ import annotations

import random
import socket
from typing import Final

from earshot import errors

LOOPBACK: Final = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections, so that none is taken
# between our finding it free and a child's binding it.
_RANGE: Final = range(20_000, 32_000)


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
    """So many different ports that are free now.

    Raises:
        ResourceExhaustedError: this machine has not so many.
    """
    found: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise errors.ResourceExhaustedError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")
