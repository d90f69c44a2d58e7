"""Labels that callers have a say in, kept to few values: what is not known beforehand is ``other``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

# The metadata by which a caller says who it is. Whoever checks callers at the edge puts the name that it
# has proved into this header, in place of what came.
CLIENT_HEADER: Final = "x-earshot-client"
OTHER: Final = "other"
NO_AUDIO: Final = "none"  # the codec of calls that carry none
_ADDRESS_HEADER: Final = "x-forwarded-for"  # the edge adds the address that it has seen at the end
_LONGEST_NAME: Final = 128  # characters
_STRANGERS: Final = 256  # lines for callers whose names nobody has announced

# Whose work it is, from the group to the one in it: what shares the workers and the room fairly.
Line: TypeAlias = tuple[str, ...]
NOBODY: Final[Line] = (OTHER,)


def claimed_name(metadata: Mapping[str, str | bytes]) -> str:
    """What the caller says that it is called, or what the edge has proved; empty for nothing.

    A very long name is cut, and still no other's.
    """
    given = metadata.get(CLIENT_HEADER, "")
    name = given if isinstance(given, str) else given.decode(errors="backslashreplace")
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}~{digest}"


class Clients:
    """The callers that figures are kept for, by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def label(self, metadata: Mapping[str, str | bytes]) -> str:
        """The caller's name if it is one of ours."""
        given = metadata.get(CLIENT_HEADER)
        return given if isinstance(given, str) and given in self._names else OTHER

    def line(self, metadata: Mapping[str, str | bytes]) -> Line:
        """In which line the caller's work waits.

        Each of ours has one. The others have a bounded number of lines, by the name that they give or by
        their address at the edge: two seldom meet in one (stochastic fairness queueing, McKenney 1990).
        Where some are ours the others are one group, so that making up names takes nothing from ours.
        """
        label = self.label(metadata)
        if label != OTHER:
            return (label,)
        given = metadata.get(CLIENT_HEADER) or str(metadata.get(_ADDRESS_HEADER, "")).rpartition(",")[2]
        stranger = f"{OTHER} {hash(given) % _STRANGERS}"
        return (OTHER, stranger) if self._names else (stranger,)
