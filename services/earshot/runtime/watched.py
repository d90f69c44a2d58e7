"""What a small file says, also after it has changed: keys, and who may use what."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from earshot import errors
from earshot.runtime.logs import logger

_LOOK_AGAIN: Final = 1.0  # seconds between two looks at a file

ContentT = TypeVar("ContentT")


class Watched(Generic[ContentT]):
    """Looked at again by whoever asks for it; a file that cannot be used changes nothing, and is said."""

    def __init__(
        self, file: Path, what: str, parse: Callable[[str], ContentT], meanwhile: ContentT | None = None
    ) -> None:
        """``what`` it has, as one says it; ``parse`` raises ``ValueError``, which says what is wrong with it.

        ``meanwhile`` holds until the file is there; without that it must be.

        Raises:
            FailedPreconditionError: the file cannot be read, or is not what it should be.
        """
        self._file, self._what, self._parse = file, what, parse
        self._version: tuple[int, int] | None = None
        self._looked_at = time.monotonic()
        self._content = self._read() if meanwhile is None or file.exists() else meanwhile

    @property
    def content(self) -> ContentT:
        """What holds now."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN:
            self._looked_at = now
            self._refresh()
        return self._content

    def _refresh(self) -> None:
        try:
            if self._file.exists() and _version(self._file) != self._version:
                self._content = self._read()
                logger().info("file read", what=self._what)
        except (OSError, errors.FailedPreconditionError) as exc:
            logger().error("file not read", what=self._what, cause=str(exc))

    def _read(self) -> ContentT:
        try:
            version = _version(self._file)
            content = self._parse(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:  # no UTF-8 is a ValueError too
            raise errors.FailedPreconditionError(f"no {self._what} in {self._file}: {exc}") from exc
        self._version = version
        return content


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_ino
