"""Locks up a process that takes strangers' bytes apart.

Its parsers are C of a million lines: whoever finds a fault in them shall find nothing behind it. By
Landlock it opens no file but Python's own, by seccomp it makes no socket and starts no program. What it
has open already stays: the socket to its front process, and the memory that comes through it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Final

import earshot

_LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64")  # what is loaded late: codecs of characters
_REFUSED: Final = (  # answered with EPERM
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("execve", "execveat"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd"),
    # The ways around: rings that do calls for one, names of files by number, other namespaces.
    *("io_uring_setup", "open_by_handle_at", "unshare", "setns", "mount", "bpf", "userfaultfd"),
)


def confine() -> None:
    """Closes the doors of this process for good. Call it once, when all is loaded, before any thread.

    Where the kernel, or the profile of the pod, has no Landlock or no seccomp, a line on standard error
    says so: the process works on, held by what else holds it.
    """
    _lock("calls", _confine_calls)
    _lock("files", _confine_files)


def _lock(what: str, door: Callable[[], None]) -> None:
    try:
        door()
    except (OSError, ImportError, RuntimeError) as exc:  # no such call, no such library
        line = {"event": "worker not confined", "pid": os.getpid(), "what": what, "cause": str(exc)}
        sys.stderr.write(json.dumps(line) + "\n")


def _confine_files() -> None:
    from landlock import FSAccess, Ruleset  # noqa: PLC0415 - see confine

    ctypes.set_errno(0)  # which the library takes for the error of its own calls
    rules = Ruleset()
    rules.allow(*_readable(), rules=FSAccess.READ_FILE | FSAccess.READ_DIR)
    rules.apply()


def _readable() -> list[Path]:
    paths = sysconfig.get_paths()
    own = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    every = {Path(path).resolve() for path in (*own, *_LIBRARIES, *earshot.__path__)}
    return [path for path in every if path.is_dir()]


def _confine_calls() -> None:
    import pyseccomp  # noqa: PLC0415 - fails to import without libseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    rules.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)  # threads that are there already too
    for name in _REFUSED:
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    rules.load()
