"""The task of a decoder process: files in, samples out. ffmpeg runs here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from earshot import errors
from earshot.audio.decoding import decode
from earshot.audio.limits import AudioLimits
from earshot.audio.memory import bound_memory
from earshot.runtime.blobs import Blob
from earshot.runtime.confinement import confine
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one
from earshot.stt import wire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DecodeTask:
    """A job's body is an ``AudioFormat``, its blob the file; the result's blob is s16 at 16 kHz, mono."""

    info = b""

    def __init__(self, limits: AudioLimits) -> None:
        self._limits = limits

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """Decodes each job by itself."""
        return one_by_one(lambda job: self._decode(job, cancelled), jobs)

    def _decode(self, job: Job, cancelled: Cancelled) -> tuple[bytes, Blob | None]:
        samples = Blob.empty()

        def keep(block: NDArray[np.int16]) -> None:
            if cancelled():
                raise errors.CancelledError("nobody waits for this clip any more")
            samples.write(block.data)

        try:
            seconds = decode(job.blob, wire.decode_format(job.body), self._limits, keep)
        except BaseException:
            samples.close()
            raise
        return wire.encode(seconds), samples


def make(options: dict[str, str]) -> DecodeTask:
    """``headroom`` is the memory that decoding may take, in bytes; the rest are ``AudioLimits``."""
    rest = dict(options)
    bound_memory(int(rest.pop("headroom")))
    confine()
    return DecodeTask(AudioLimits(**{name: float(value) for name, value in rest.items()}))
