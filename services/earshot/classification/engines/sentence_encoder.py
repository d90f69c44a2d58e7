"""Texts to vectors, by a transformer trained for it.

Sentence-BERT (Reimers & Gurevych 2019): the vectors of a text's tokens, averaged, scaled to length one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from tokenizers import Encoding

from earshot.classification.engines.batches import by_length, rounds, stop_if
from earshot.classification.engines.network import Floats, Model

# Padded. On one core larger batches are slower, as they outgrow its cache, and no smaller one is faster.
_BATCH_TOKENS: Final = 128
_ROUND_CHARACTERS: Final = 500_000  # held as tokens at once


class SentenceEncoder:
    """Texts to unit vectors."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._pool = _POOLING[model.traits.pooling]
        self._batch_tokens = model.tokens_at_once(_BATCH_TOKENS)
        model.tokenizer.enable_truncation(model.traits.window)

    def encode(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> Floats:
        """One unit vector for each text: [texts, size], float32.

        A text longer than the model's window goes through in several; its vector is their mean,
        each weighing as much as it has tokens, so that all of the text counts.
        """
        parts = rounds([len(text) for text in texts], _ROUND_CHARACTERS)
        vectors = [self._encode_round(texts[part], cancelled) for part in parts]
        return np.concatenate(vectors) if vectors else np.empty((0, self._model.traits.size), np.float32)

    def _encode_round(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> Floats:
        windows, text_of = self._windows(texts)
        sums = np.zeros((len(texts), self._model.traits.size), np.float32)
        for batch in by_length([len(window) for window in windows], self._batch_tokens):
            stop_if(cancelled)
            np.add.at(sums, [text_of[index] for index in batch], self._sums([windows[i] for i in batch]))
        return unit(sums)

    def _windows(self, texts: Sequence[str]) -> tuple[list[Encoding], list[int]]:
        """Windows of all texts, and which text each is of."""
        windows: list[Encoding] = []
        text_of: list[int] = []
        for index, first in enumerate(self._model.tokenizer.encode_batch(list(texts))):
            own = (first, *first.overflowing)
            windows += own
            text_of += [index] * len(own)
        return windows, text_of

    def _sums(self, windows: Sequence[Encoding]) -> Floats:
        """Each window's pooled vector, times its tokens."""
        hidden, mask = self._model.run(windows)
        weights = mask[:, :, None].astype(np.float32)
        sums: Floats = self._pool(hidden, weights) * weights.sum(1)
        return sums


def unit(vectors: Floats) -> Floats:
    """``vectors``, [..., size], scaled to length one."""
    lengths: Floats = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)
    return scaled


def _mean(hidden: Floats, weights: Floats) -> Floats:
    mean: Floats = (hidden * weights).sum(1) / weights.sum(1)
    return mean


def _first(hidden: Floats, weights: Floats) -> Floats:  # noqa: ARG001 - one shape for both
    return hidden[:, 0]


_POOLING: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {"mean": _mean, "cls": _first}
