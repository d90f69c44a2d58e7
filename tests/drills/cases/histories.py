"""The protocol of streams, its two ends against a model of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.drills.counted import counted, folder
from tests.drills.drill import Drill, Form, Result

_COUNT, _SHORT_COUNT = 10_000, 300
_HISTORIES: Final = "tests.unit.stt.streaming.histories"
_COUNTED: Final = {
    "histories": "histories",
    "reconnects": "reconnects",
    "finals": "finals",
    "complete": "ended well",
    "expired": "ended by a token that was too old",
}


async def _run(_: Path, form: Form) -> Result:
    result = Result()
    count = _SHORT_COUNT if form.short else _COUNT
    command = (sys.executable, "-W", "ignore", "-m", _HISTORIES, str(count))
    found = await counted("histories", command, result)
    if found is None:
        return result
    result.counts |= {words: int(found.get(name, 0)) for name, words in _COUNTED.items()}
    result.must(found["histories"] >= count, f"only {found['histories']} histories")
    for name in _COUNTED:
        result.must(found.get(name), f"no {name}: nothing was tried")
    return result


DRILL = Drill(
    "histories",
    "random histories of a stream: chunks, finals, reconnects, half-closes, tokens too old or of others",
    "each matches its model: every word comes once, in order, and is of its audio",
    folder,
    _run,
)
