"""Scores of texts seen before, for the client that has sent them.

Of a text nothing is kept but a hash and its scores. The hash (BLAKE2b, RFC 7693) is keyed: the process
draws the key for itself and tells it nobody, so that no guess at a text can be tried on what is kept. It
covers all that scores depend on, and the client: what one has asked is not to be found by another, neither
in an answer nor by how soon it comes. Of a caller without a name nothing is kept, as anybody may be the next.
"""

from __future__ import annotations

import secrets
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

from earshot.classification import wire
from earshot.classification.settings import ClassificationSettings
from earshot.classification.types import ClassificationOptions, ClassificationRequest, ModelInfo
from earshot.rpc.limits import MEBIBYTE
from earshot.runtime import calls
from earshot.runtime.metrics import Metrics

Name: TypeAlias = bytes  # what a text is known by
TextScores: TypeAlias = tuple[float, ...]  # in its labels' order

_KEY_BYTES: Final = 32
_HASH_BYTES: Final = 16
_ENTRY_BYTES: Final = 350  # of a text beside its scores, as tracemalloc has it
_MOST_CHARACTERS: Final = 1_000_000  # of one request: hashing more would hold up the event loop


@dataclass(frozen=True, slots=True)
class SeenLimits:
    """What may be kept."""

    texts: int  # 0: none
    max_bytes: int
    seconds: float  # since the text was last asked for

    @classmethod
    def of(cls, settings: ClassificationSettings) -> SeenLimits:
        """The part of the settings that concerns texts seen before."""
        return cls(settings.seen_texts, settings.seen_mebibytes * MEBIBYTE, settings.seen_seconds)


class SeenTexts:
    """Bounded in number, in memory and in time; who has not been asked for longest goes first."""

    def __init__(
        self, limits: SeenLimits, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits, self._clock = limits, clock
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._kept: OrderedDict[Name, tuple[bytes, float]] = OrderedDict()  # scores, when last asked for
        self._bytes = 0
        # At zero from the start: a rate needs a first value.
        self._hits, self._misses = metrics.seen_texts.labels("hit"), metrics.seen_texts.labels("miss")
        self._held = metrics.seen_bytes

    def names(self, model: ModelInfo, requests: Sequence[ClassificationRequest]) -> list[Name]:
        """What each text is known by to the current call's client; empty where nothing is kept of them."""
        client = calls.current().claimed_client
        # A name as long as the longest may have been cut, and be two clients'.
        if not self._limits.texts or not 0 < len(client) < calls.LONGEST:
            return []
        if sum(len(request.text) for request in requests) > _MOST_CHARACTERS:
            return []
        starts: dict[ClassificationOptions, blake2b] = {}
        for request in requests:
            if request.options not in starts:
                starts[request.options] = self._start(client, model, request.options)
        return [_name(starts[request.options], request.text) for request in requests]

    def _start(self, client: str, model: ModelInfo, options: ClassificationOptions) -> blake2b:
        # MessagePack says where it ends: what follows, the text, cannot be taken for a part of it.
        before = wire.encode((client, model, options))
        return blake2b(before, key=self._key, digest_size=_HASH_BYTES)

    def scores(self, names: Sequence[Name]) -> dict[Name, TextScores]:
        """The scores of those that are known."""
        now = self._clock()
        self._forget(now)
        found: dict[Name, TextScores] = {}
        for name in names:
            if name in self._kept and name not in found:
                packed, _ = self._kept.pop(name)
                self._kept[name] = packed, now  # at the end
                found[name] = tuple(array("d", packed))
        hits = sum(name in found for name in names)
        self._hits.inc(hits)
        self._misses.inc(len(names) - hits)
        return found

    def keep(self, scores: Mapping[Name, TextScores]) -> None:
        """From now on they are known."""
        now = self._clock()
        for name, one in scores.items():
            self._drop(name)  # asked twice at once
            packed = array("d", one).tobytes()
            self._kept[name] = packed, now
            self._bytes += _size(packed)
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._kept and self._is_too_much(now):
            self._drop(next(iter(self._kept)))
        self._held.set(self._bytes)

    def _is_too_much(self, now: float) -> bool:
        _, oldest = next(iter(self._kept.values()))
        limits = self._limits
        return (
            len(self._kept) > limits.texts or self._bytes > limits.max_bytes or now - oldest > limits.seconds
        )

    def _drop(self, name: Name) -> None:
        packed, _ = self._kept.pop(name, (None, 0.0))
        if packed is not None:
            self._bytes -= _size(packed)


def _name(start: blake2b, text: str) -> Name:
    whole = start.copy()
    whole.update(text.encode())
    return whole.digest()


def _size(packed: bytes) -> int:
    return _ENTRY_BYTES + len(packed)
