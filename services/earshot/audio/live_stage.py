"""What every decoder of a stream can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from earshot.audio.decoding import Samples


class Stage(Protocol):
    """Decodes one recording from bytes cut anywhere, to s16 mono samples at 16 kHz."""

    @property
    def heard(self) -> bool:
        """Some sound has been decoded, be it too short to come out."""

    def push(self, data: bytes) -> Samples:
        """All samples that can be had by now; raises ``InvalidArgumentError`` for bad audio."""

    def finish(self) -> Samples:
        """The rest, and the errors that only the end shows."""

    def close(self) -> None:
        """Gives all back; also in the middle, also twice."""
