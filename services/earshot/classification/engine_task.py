"""The task of an engine process: texts and labels in, scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from earshot.classification import wire
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Engine, Loader
from earshot.runtime.blobs import Blob
from earshot.runtime.factories import named
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one


class EngineTask:
    """A job's body is a list of ``ClassificationRequest``; the result's, the scores of each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.info = wire.encode(engine.info)

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """Scores each job's texts together."""
        return one_by_one(lambda job: self._classify(job, cancelled), jobs)

    def _classify(self, job: Job, cancelled: Cancelled) -> tuple[bytes, Blob | None]:
        return wire.encode(self._engine.classify(wire.decode_requests(job.body), cancelled)), None


def make(options: dict[str, str]) -> EngineTask:
    """``loader`` is "module:function" and ``model`` its first argument; the rest goes with it."""
    rest = dict(options)
    loader = cast("Loader", named(rest.pop("loader")))
    engine = loader(rest.pop("model"), rest)
    _warm_up(engine)
    return EngineTask(engine)


def _warm_up(engine: Engine) -> None:
    """The first call sets up kernels and pools; no caller should wait for that."""
    options = ClassificationOptions(labels=("warm", "cold"))
    engine.classify([ClassificationRequest("warming up", options)], lambda: False)
