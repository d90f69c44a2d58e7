"""From texts and labels to scores: the core of the service. It knows neither gRPC nor an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from earshot.classification import wire
from earshot.classification.seen import Name, SeenTexts
from earshot.classification.types import ClassificationRequest, ModelInfo
from earshot.runtime import calls
from earshot.runtime.admission import Admission
from earshot.runtime.batching import Outcome
from earshot.runtime.calls import Stage
from earshot.runtime.logs import logger
from earshot.runtime.metrics import Metrics
from earshot.runtime.pool import Pool


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of each text, in its labels' order, and where the time went, in seconds."""

    scores: wire.Scores
    queue_seconds: float
    inference_seconds: float


class Classifier:
    """Scores texts in a worker process, but for those whose scores are known."""

    def __init__(self, engines: Pool, admission: Admission, metrics: Metrics, seen: SeenTexts) -> None:
        self.admission = admission
        self._engines, self._metrics, self._seen = engines, metrics, seen
        self.model: ModelInfo | None = None  # until it is loaded

    async def start(self) -> None:
        """Starts the processes and loads the model. Raises what keeps it from loading."""
        await self._engines.start()
        self.model = model = wire.decode_info(self._engines.info)
        logger().info("model", engine=model.engine, model=model.name, runtime=model.runtime)
        self._metrics.model.info({"engine": model.engine, "model": model.name, "version": model.version})

    async def stop(self) -> None:
        """Ends the processes; what is still at work fails with ``UnavailableError``."""
        await self._engines.stop()

    @property
    def has_idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return self._engines.has_idle

    async def classify(self, requests: Sequence[ClassificationRequest], deadline: float) -> Scored:
        """Scores texts; the caller holds a permit. ``deadline`` is by ``time.monotonic``.

        Raises ``DeadlineExceededError``, and ``InternalError`` when workers died on it.
        """
        names = self._seen.names(self.model, requests) if self.model else []
        if names:
            scored = await self._unless_seen(names, requests, deadline)
        else:
            scored = await self._score(requests, deadline)
        characters = sum(len(request.text) for request in requests)
        self._metrics.characters.labels(calls.current().client).inc(characters)
        return scored

    async def _unless_seen(
        self, names: Sequence[Name], requests: Sequence[ClassificationRequest], deadline: float
    ) -> Scored:
        known = self._seen.scores(names)
        new = {name: request for name, request in zip(names, requests, strict=True) if name not in known}
        scored = await self._score(list(new.values()), deadline) if new else Scored([], 0.0, 0.0)
        found = dict(zip(new, scored.scores, strict=True))
        self._seen.keep(found)
        known |= found
        return replace(scored, scores=[known[name] for name in names])

    async def _score(self, requests: Sequence[ClassificationRequest], deadline: float) -> Scored:
        outcome = await self._engines.submit(wire.encode(requests), None, deadline)
        self._observe(outcome)
        return Scored(wire.decode_scores(outcome.body), outcome.queue_seconds, outcome.work_seconds)

    def _observe(self, outcome: Outcome) -> None:
        self.admission.observe(outcome.work_seconds)
        call = calls.current()
        call.spend(Stage.QUEUE, outcome.queue_seconds, before=outcome.work_seconds)
        call.spend(Stage.CLASSIFY, outcome.work_seconds)
