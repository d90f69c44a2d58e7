"""A ceiling on the memory of a process that takes strangers' files apart."""

from __future__ import annotations

import re
import resource
from pathlib import Path


def bound_memory(headroom: int) -> None:
    """Lets this process allocate ``headroom`` bytes more than it has now, and no more ever.

    A few hundred bytes of MP4 can declare tables of gigabytes, which ffmpeg's libraries fill before
    anybody may look. Past the ceiling the decoder answers with an error as for any bad file. Call it
    once, in a process that only decodes, after its imports.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    used = re.search(r"^VmData:\s+(\d+) kB$", status, re.MULTILINE)
    if used is None:
        raise OSError("/proc/self/status has no VmData: this is not Linux")
    ceiling = int(used[1]) * 1024 + headroom
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        ceiling = min(ceiling, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
