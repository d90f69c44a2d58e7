"""What a stream runs up: paid as it goes, over all its connections, to whichever replica."""

from __future__ import annotations

import secrets
from typing import Final

from earshot.quotas.meter import Meter
from earshot.quotas.types import Hold, Unit

# Who goes on by an older token has lost what came after it, and gets that again for nothing: so much of it in
# a stream's life, in the unit's own numbers, as it might be other audio each time.
_FREE: Final = {Unit.AUDIO: 60_000, Unit.CHARACTERS: 20_000}


def new_stream() -> str:
    """A name for a stream, which its tokens carry."""
    return secrets.token_hex(8)


class Tab:
    """Of one connection. What is charged first and then said is never charged twice."""

    def __init__(self, meter: Meter, unit: Unit, model: str, stream: str, base: int) -> None:
        """``stream`` is the name that all its connections know; ``base`` what they have run up before."""
        self._meter, self._holder, self._charged = meter, secrets.token_hex(8), base
        self._unit, self._model, self._key, self._base = unit, model, f"{unit}-{stream}", base
        self._begun = False

    async def check(self) -> None:
        """See ``Meter.check``."""
        await self._meter.check_stream(self._unit, self._key)

    @property
    def charged(self) -> int:
        """Up to where, on the stream's own count."""
        return self._charged

    async def charge(self, total: int) -> None:
        """The stream has come to ``total``. Raises as ``Meter.paying`` does; nothing is charged then."""
        if total <= self._charged:
            return
        hold = self._hold(total)
        if not self._begun and self._base:
            await self._meter.replay(hold.bill, _FREE[self._unit])
        await self._meter.pay(hold)
        if not self._begun:
            await self._meter.complete(hold)
        self._begun = True
        self._meter.count(hold.bill, total - self._charged)
        self._charged = total

    async def close(self) -> None:
        """The stream is at its end. Until here its bill is known for as long as its tokens hold; from now on,
        as that of any call: else the bills of all streams that there were would fill the memory.
        """
        if self._charged:
            await self._meter.complete(self._hold(self._charged))

    def _hold(self, total: int) -> Hold:
        bill = self._meter.bill(self._unit, self._model, total, self._key, self._base)
        return Hold(bill, self._holder)
