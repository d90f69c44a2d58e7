"""The port to where it is written down who has used how much.

A bill is paid before the work, in full or not at all, and taken back when the work fails: so a client is
never over a limit, whatever is at work. Each is known by a key, and a key is paid for once, whoever
presents it: a call that is tried again, on this replica or another, finds itself paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from earshot.quotas.types import Account, Bill, Hold, Refused, Unit

NO_LIMIT: Final = -1
KNOWN_SECONDS: Final = 600  # that a bill is known after its answer: callers try again within seconds
LATE_SECONDS: Final = 3600  # that a window is kept after its end, for what is taken back

Limits = tuple[int, int, int]  # of each of ``windows.Window``, in the unit's own numbers; or NO_LIMIT


class Ledger(Protocol):
    """Every method may raise ``LedgerAwayError``."""

    async def open(self) -> None:
        """Makes ready what the first calls would else have to wait for."""
        ...

    async def pay(self, hold: Hold, limits: Limits, now: float) -> Refused | None:
        """Pays what is still owed of the bill; None: it is paid. ``now`` in seconds since the epoch."""
        ...

    async def is_known(self, client: str, key: str) -> bool:
        """Whether a bill of that key has been paid before."""
        ...

    async def complete(self, hold: Hold) -> None:
        """The work is done and its answer goes out: what was paid stays.

        Of a stream once when the first of it is paid, and again at its end: until that it may be broken and
        go on, and its bill is known for as long as it may.
        """
        ...

    async def take_back(self, hold: Hold) -> None:
        """The work has failed: what this holder has paid is given back.

        Not where another has presented the same bill since, or an answer has gone out for it.
        """
        ...

    async def take_back_done(self, bill: Bill) -> None:
        """The same, of work that one answer has gone out for, to a caller who then failed by it."""
        ...

    async def replay(self, bill: Bill, free: int) -> None:
        """Work is done again from ``bill.base`` on. It is free up to ``free`` over the key's life, then it
        is owed once more.
        """
        ...

    async def used(self, client: str, unit: Unit, now: float) -> tuple[int, int, int]:
        """What has been used in each window that ``now`` lies in."""
        ...

    async def accounts(self, client: str, days: Sequence[str]) -> list[Account]:
        """What was used on those days; by all where ``client`` is empty."""
        ...

    async def close(self) -> None:
        """Ends the connection."""
        ...


class LedgerAwayError(Exception):
    """Nobody knows who has used how much; the message says why."""
