"""Starts a program that dies with its parent: ``launch.py PARENT_PID PROGRAM ARGUMENT...``.

Linux sends the signal asked for by ``PR_SET_PDEATHSIG`` when the parent is gone, however it went, and
keeps the wish over ``exec``. It is asked for here and not in the parent between fork and exec, where
Python code is not safe beside the threads of gRPC. Nor does the program leave a core, which would hold what
callers said. Runs by itself: it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Never returns: becomes the program, or exits where the parent has gone meanwhile."""
    parent, program = int(arguments[0]), arguments[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit(1)
    # 1 byte: no room for a core, and the one limit that also holds for cores sent to a program, core(5).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0) if _no_core_already() else (1, 1))
    os.execv(program[0], program)  # noqa: S606 - the arguments come from the supervisor


def _no_core_already() -> bool:
    return resource.getrlimit(resource.RLIMIT_CORE)[1] == 0


if __name__ == "__main__":
    main(sys.argv[1:])
