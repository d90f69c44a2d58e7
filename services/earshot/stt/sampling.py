"""From a clip's bytes to its samples."""

from __future__ import annotations

import time

from earshot.audio import plain
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.runtime.batching import Outcome
from earshot.runtime.copying import into_memory
from earshot.runtime.pool import Pool
from earshot.stt import wire


class Sampling:
    """What is samples already is taken as it is; all else is decoded, in a process that only does that."""

    def __init__(self, decoders: Pool, limits: AudioLimits) -> None:
        self._decoders, self._limits = decoders, limits

    async def start(self) -> None:
        """Starts the processes. Raises what keeps one from starting."""
        await self._decoders.start()

    async def stop(self) -> None:
        """Ends them; what is still at work fails with ``UnavailableError``."""
        await self._decoders.stop()

    async def samples(self, content: bytes, audio_format: AudioFormat, deadline: float) -> Outcome:
        """The length in seconds, encoded, and a blob of s16 mono samples at 16 kHz, which the caller owns.

        Raises ``InvalidArgumentError`` and ``OutOfRangeError`` for audio that cannot be taken, and what
        :meth:`Pool.submit` does.
        """
        began = time.monotonic()
        samples = plain.samples_in(content, audio_format, self._limits)
        if samples is not None:
            blob = await into_memory(samples)
            return Outcome(wire.encode(plain.seconds_of(samples)), blob, 0.0, time.monotonic() - began)
        with await into_memory(content) as file:
            return await self._decoders.submit(wire.encode(audio_format), file, deadline)
