"""A word of shared memory by which the front process tells a busy worker that nobody waits any more."""

from __future__ import annotations

import mmap
import os
import struct

_WORD = struct.Struct("=Q")


class CancelFlag:
    """Holds the number of the batch that is cancelled; 0: none. Aligned 8 bytes are written at once."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _WORD.size)

    @classmethod
    def create(cls) -> CancelFlag:
        """A flag in new shared memory; a worker opens the same by its descriptor."""
        fd = os.memfd_create("earshot-cancel", os.MFD_CLOEXEC)
        os.ftruncate(fd, _WORD.size)
        return cls(fd)

    def set(self, batch: int) -> None:
        """From now on ``batch`` is cancelled, and no other."""
        _WORD.pack_into(self._map, 0, batch)

    def is_set(self, batch: int) -> bool:
        """Cheap: one read of memory."""
        return bool(_WORD.unpack_from(self._map, 0)[0] == batch)

    def close(self) -> None:
        """Gives memory and descriptor back; further calls do nothing."""
        if not self._map.closed:
            self._map.close()
            os.close(self.fd)
