"""What the machine has run out of, as an error that sends the caller to another replica."""

from __future__ import annotations

import errno
from typing import Final

from earshot import errors

_LACKS: Final = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory",
    errno.ENOSPC: "space on a disk",
    errno.EDQUOT: "space on a disk",
}
_NO_THREAD: Final = "can't start new thread"  # CPython's words; the error has no number


def shortage(exc: BaseException) -> errors.UnavailableError | None:
    """What ``exc`` means for a caller, where it is nobody's fault; None for any other error."""
    return _told(_lack(exc))


def shortage_at_start(exc: BaseException) -> errors.UnavailableError | None:
    """The same, of what kept a process from being started: where there may be no more, fork(2) says EAGAIN,
    which elsewhere says that there is nothing to read.
    """
    too_many = isinstance(exc, OSError) and exc.errno == errno.EAGAIN
    return _told("processes" if too_many else _lack(exc))


def _told(lack: str) -> errors.UnavailableError | None:
    if not lack:
        return None
    return errors.UnavailableError(
        f"this replica has no {lack} left; try again: another may have", reason="OUT_OF_RESOURCES"
    )


def _lack(exc: BaseException) -> str:
    if isinstance(exc, OSError):
        return _LACKS.get(exc.errno or 0, "")
    if isinstance(exc, MemoryError):
        return "memory"
    return "threads" if isinstance(exc, RuntimeError) and _NO_THREAD in str(exc) else ""
