"""Anonymous shared memory, handed from process to process by file descriptor.

A blob has no name (memfd_create(2)): nothing can be left behind in /dev/shm, whatever dies when.
"""

from __future__ import annotations

import mmap
import os
from typing import Self

_FLAGS = getattr(os, "MFD_CLOEXEC", 0)


class Blob:
    """Bytes in shared memory. Owns its descriptor: ``close`` it, or use it as a context manager."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def empty(cls) -> Self:
        """A blob to :meth:`write` to."""
        return cls(os.memfd_create("earshot", _FLAGS))

    @classmethod
    def of(cls, data: bytes | memoryview) -> Self:
        """A blob that holds ``data``: the one copy on its way to another process."""
        blob = cls.empty()
        try:
            blob.write(data)
        except BaseException:
            blob.close()
            raise
        return blob

    @property
    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size

    def write(self, data: bytes | memoryview) -> None:
        """Appends ``data``, whole."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def view(self) -> memoryview:
        """The content, mapped and read-only; it stays valid after :meth:`close`."""
        if self.size == 0:  # an empty file cannot be mapped
            return memoryview(b"")
        return memoryview(mmap.mmap(self.fd, 0, access=mmap.ACCESS_READ))

    def close(self) -> None:
        """Gives the descriptor back; further calls do nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
