"""What every process of a service does first: nothing of what callers said may outlive it on a disk."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
# Not 0: a core that goes to a program through a pipe is stopped by 1 alone, and a file by either, core(5).
_NO_CORE: Final = 1


def harden() -> None:
    """No core file, no debugger of the same user, no programs with more rights than this one.

    A core would hold audio and transcripts. prctl(2): PR_SET_DUMPABLE also gives what is in ``/proc`` of
    this process to root, so that no other process of the same user reads its memory; processes that it
    starts begin without it. Raises :class:`OSError`.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 0 if hard == 0 else _NO_CORE
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl({option})")
