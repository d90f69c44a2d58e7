"""Labels that callers have a say in, kept to few values: what is not known beforehand is ``other``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

# The metadata by which a caller says who it is. Whoever checks callers at the edge puts the name that it
# has proved into this header, in place of what came.
CLIENT_HEADER: Final = "x-earshot-client"
OTHER: Final = "other"
NO_AUDIO: Final = "none"  # the codec of calls that carry none


class Clients:
    """The callers that figures are kept for, by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def label(self, metadata: Mapping[str, str | bytes]) -> str:
        """The caller's name if it is one of ours."""
        given = metadata.get(CLIENT_HEADER)
        return given if isinstance(given, str) and given in self._names else OTHER
