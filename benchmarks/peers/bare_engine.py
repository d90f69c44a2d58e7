"""The engine alone in a loop: one process for each core, nothing around it, its work already in memory.

No service that runs the same engine on the same cores can do more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import cpu
from earshot.classification.engines import selection as text_selection
from earshot.classification.types import ClassificationOptions, ClassificationRequest
from earshot.runtime.factories import named
from earshot.stt.engines import selection as speech_selection
from earshot.stt.types import RecognitionOptions
from earshot.weights import cache_folder

Hear = Callable[[Any], str]  # one piece of work to what is said of it


def speech(engine: str, model: str) -> Hear:
    """A speech engine; its work is samples."""
    cache = cache_folder(os.environ.get("EARSHOT_CACHE", ""))
    chosen = speech_selection.select(engine, model, cache)
    loaded = named(chosen.loader)(chosen.model, {"cache": str(cache), "threads": "1", "device": "cpu"})

    def hear(samples: Any) -> str:  # noqa: ANN401 - an array
        return str(loaded.transcribe(samples, RecognitionOptions(), lambda: False).text)

    return hear


def text(engine: str, labels: tuple[str, ...]) -> Hear:
    """A zero-shot engine; its work is a list of texts, scored in one batch."""
    cache = cache_folder(os.environ.get("EARSHOT_CACHE", ""))
    chosen = text_selection.select(engine, "", cache)
    loaded = named(chosen.loader)(chosen.model, {"cache": str(cache), "threads": "1"})
    options = ClassificationOptions(labels)

    def hear(texts: Any) -> str:  # noqa: ANN401 - a list of texts
        scores = loaded.classify([ClassificationRequest(one, options) for one in texts], lambda: False)
        return "|".join(labels[row.index(max(row))] for row in scores)

    return hear


@dataclass(frozen=True)
class BareEngines:
    """Processes that wait for work."""

    pipes: Sequence[Connection]

    def run(self, count: int) -> list[str]:
        """Each process does ``count`` pieces of its work, over and over; what the first one said."""
        for pipe in self.pipes:
            pipe.send(count)
        said = [pipe.recv() for pipe in self.pipes]
        return said[0]  # type: ignore[no-any-return]


@contextmanager
def running(
    make: Callable[..., Hear], arguments: tuple[Any, ...], work: Sequence[Any], processes: int
) -> Iterator[BareEngines]:
    """So many processes, each with an engine of its own, loaded and warm."""
    context, pipes, children = get_context("spawn"), [], []
    with cpu.one_thread():
        for _ in range(processes):
            ours, theirs = context.Pipe()
            children.append(context.Process(target=_loop, args=(theirs, make, arguments, work), daemon=True))
            children[-1].start()
            pipes.append(ours)
    try:
        for pipe in pipes:
            pipe.recv()
        yield BareEngines(pipes)
    finally:
        for pipe, child in zip(pipes, children, strict=True):
            pipe.send(None)
            child.join()


def _loop(
    pipe: Connection, make: Callable[..., Hear], arguments: tuple[Any, ...], work: Sequence[Any]
) -> None:
    hear = make(*arguments)
    hear(work[0])
    pipe.send("ready")
    while (count := pipe.recv()) is not None:
        pipe.send([hear(work[number % len(work)]) for number in range(count)])
