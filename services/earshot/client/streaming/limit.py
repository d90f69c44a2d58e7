"""The error of a client that may keep no more audio; it never crosses the wire."""

from __future__ import annotations

from earshot import errors


class UncommittedLimitError(errors.ResourceExhaustedError):
    """As much audio is kept as may be, because it is not final yet, and the source cannot wait longer.

    ``held`` is in bytes. What to do is in the message.
    """

    default_reason = "UNCOMMITTED_LIMIT"

    def __init__(self, message: str, held: int) -> None:
        super().__init__(message)
        self.held = held
