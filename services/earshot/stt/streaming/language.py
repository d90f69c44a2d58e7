"""What a stream is spoken in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from earshot.runtime.batching import Outcome
from earshot.stt import wire

Recognize = Callable[[str], Awaitable[Outcome]]  # a stretch, in a language; empty: detect it


class Language:
    """As the caller says; else as the first words of the stream are heard, for the rest of it too.

    Nobody changes languages between two breaths as often as a detector is wrong about a short one; and where
    it is not asked again, half a stretch's work may be saved (openai-whisper encodes for it).
    """

    def __init__(self, code: str) -> None:
        self.code = code  # BCP-47; empty: not known yet
        self._turn = asyncio.Lock()  # first come, first served

    async def heard(self, recognize: Recognize) -> Outcome:
        """A stretch, heard in the language; while it is not known, after the stretches that came before."""
        if not self.code:
            async with self._turn:
                if not self.code:
                    return self._settled(await recognize(""))
        return await recognize(self.code)

    def _settled(self, outcome: Outcome) -> Outcome:
        """A stretch in which nothing was said settles nothing."""
        transcript = wire.decode_transcript(outcome.body)
        self.code = transcript.language if transcript.segments else ""
        return outcome
