"""The task of an engine process: samples in, a transcript out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from earshot.runtime.blobs import Blob
from earshot.runtime.factories import named
from earshot.runtime.priority import give_way
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one
from earshot.stt import wire
from earshot.stt.masking.types import Finder
from earshot.stt.types import Engine, Loader, RecognitionOptions, Transcript


class EngineTask:
    """A job's body is ``RecognitionOptions``, its blob s16 samples at 16 kHz, mono."""

    def __init__(self, engine: Engine, name_model: str = "") -> None:
        """``name_model`` is a folder of a model that finds names; empty: none does."""
        self._engine = engine
        self._names = _names(name_model) if name_model else None
        self.info = wire.encode(engine.info)

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """Writes down each job's clip by itself."""
        return one_by_one(lambda job: self._transcribe(job, cancelled), jobs)

    def _transcribe(self, job: Job, cancelled: Cancelled) -> tuple[bytes, Blob | None]:
        samples = np.frombuffer(job.blob, dtype=np.int16)
        options = wire.decode_options(job.body)
        transcript = self._engine.transcribe(samples, options, cancelled)
        return wire.encode(_masked(transcript, options, self._names)), None


def _masked(transcript: Transcript, options: RecognitionOptions, names: Finder | None) -> Transcript:
    """What must not be in a transcript leaves this process in no form. The libraries come when asked for."""
    if not options.redact and not options.profanity_filter:
        return transcript
    from earshot.stt.masking.masks import masked  # noqa: PLC0415

    return masked(transcript, options, names)


def _names(model: str) -> Finder:
    from earshot.stt.masking.names import Names  # noqa: PLC0415

    return Names(model)


def make(options: dict[str, str]) -> EngineTask:
    """``loader`` is "module:function" and ``model`` its first argument; the rest goes with it, but for
    ``name_model``.
    """
    rest = dict(options)
    loader = cast("Loader", named(rest.pop("loader")))
    name_model = rest.pop("name_model", "")
    task = EngineTask(loader(rest.pop("model"), rest), name_model)
    give_way()
    return task
