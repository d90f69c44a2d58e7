"""The task of an engine process: texts and labels in, scores out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import cast

from earshot.classification import wire
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Engine, Loader
from earshot.runtime.blobs import Blob
from earshot.runtime.factories import named
from earshot.runtime.priority import give_way
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one


class EngineTask:
    """A job's body is a list of ``ClassificationRequest``; the result's, the scores of each."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.info = wire.encode(engine.info)

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """Scores the texts of all jobs together; where that fails, each job by itself."""
        if len(jobs) > 1:
            with contextlib.suppress(Exception):  # whose it is will show
                return self._together(jobs, cancelled)
        return one_by_one(lambda job: self._classify(job, cancelled), jobs)

    def _together(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        start = time.perf_counter()
        requests = [wire.decode_requests(job.body) for job in jobs]
        scores = iter(self._engine.classify([one for own in requests for one in own], cancelled))
        bodies = [wire.encode([next(scores) for _ in own]) for own in requests]
        seconds = time.perf_counter() - start
        texts = sum(map(len, requests))
        return [Result(body, seconds * len(own) / texts) for body, own in zip(bodies, requests, strict=True)]

    def _classify(self, job: Job, cancelled: Cancelled) -> tuple[bytes, Blob | None]:
        return wire.encode(self._engine.classify(wire.decode_requests(job.body), cancelled)), None


def make(options: dict[str, str]) -> EngineTask:
    """``loader`` is "module:function" and ``model`` its first argument; the rest goes with it."""
    rest = dict(options)
    loader = cast("Loader", named(rest.pop("loader")))
    engine = loader(rest.pop("model"), rest)
    _warm_up(engine)
    give_way()
    return EngineTask(engine)


def _warm_up(engine: Engine) -> None:
    """The first call sets up kernels and pools; no caller should wait for that."""
    options = ClassificationOptions(labels=("warm", "cold"))
    engine.classify([ClassificationRequest("warming up", options)], lambda: False)
