"""Zero-shot by textual entailment: is the text the premise from which "This example is X." follows?

The method of Yin, Hay & Roth 2019, with any checkpoint trained on natural language inference, and
the same scores as transformers' own ``zero-shot-classification`` pipeline. That runs one pair of text
and label at a time; here the pairs of all requests are sorted by length and go through in batches.

A text longer than the model's window is cut, as the pipeline cuts it. Options: ``threads`` (default 1),
``cache``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from earshot.classification.engines import prepared
from earshot.classification.engines.batches import by_length, rounds, stop_if
from earshot.classification.engines.checkpoints import NLI_ENGINE, resolved
from earshot.classification.engines.network import Floats, Model
from earshot.classification.engines.prepared import Source
from earshot.classification.engines.scores import softmax
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Feature, ModelInfo
from earshot.errors import FailedPreconditionError
from earshot.weights import Kind

DEFAULT_TEMPLATE: Final = "This example is {}."

_BATCH_TOKENS: Final = 512  # padded; on one core larger batches are no faster, and at 2,048 slower
_ROUND_PAIRS: Final = 2_048  # held as tokens at once
_FEATURES: Final = (Feature.MULTI_LABEL, Feature.HYPOTHESIS_TEMPLATE)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Where in a model's output its verdicts stand."""

    entailment: int
    contradiction: int

    @classmethod
    def of(cls, label2id: dict[str, int]) -> Verdicts:
        """As the pipeline finds them. Raises ``FailedPreconditionError`` for a model of another kind."""
        for label, index in label2id.items():
            if label.lower().startswith("entail"):
                return cls(index, -1 if index == 0 else 0)
        raise FailedPreconditionError(
            'the model was not trained on natural language inference: none of its labels is "entailment"'
            f" ({', '.join(label2id)})",
            reason="MODEL_UNREADABLE",
            field="model",
        )


class PairEncoder:
    """Texts and hypotheses to tokens."""

    def __init__(self, tokenizer: Tokenizer, window: int) -> None:
        self._tokenizer = tokenizer
        self._window = window

    def encode(self, text: str, hypotheses: Sequence[str]) -> list[Encoding]:
        """One pair for each hypothesis; what is too long loses the end of the text."""
        short = self._shortened(text)
        pairs = [(short, hypothesis) for hypothesis in hypotheses]
        try:
            self._tokenizer.enable_truncation(self._window, strategy="only_first")
            return list(self._tokenizer.encode_batch(pairs))
        # The tokenizers raise bare exceptions when a hypothesis alone fills the window.
        except Exception:
            self._tokenizer.enable_truncation(self._window, strategy="longest_first")
            return list(self._tokenizer.encode_batch(pairs))

    def _shortened(self, text: str) -> str:
        """``text`` without an end that no window could hold, which would be encoded for every label.

        Twice the window, so that where it is cut, in the middle of a word perhaps, makes no difference.
        """
        if len(text) <= self._window:  # no token is shorter than a character, but for what normalizing adds
            return text
        self._tokenizer.enable_truncation(2 * self._window)
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return text if len(offsets) < 2 * self._window else text[: offsets[-1][1]]


class NliEngine:
    """An :class:`earshot.classification.types.Engine`."""

    def __init__(self, model: Model, info: ModelInfo) -> None:
        self.info = info
        self._model = model
        self._verdicts = Verdicts.of(model.traits.label2id)
        self._pairs = PairEncoder(model.tokenizer, model.traits.window)
        self._batch_tokens = model.tokens_at_once(_BATCH_TOKENS)

    def classify(
        self, requests: Sequence[ClassificationRequest], cancelled: Callable[[], bool]
    ) -> list[tuple[float, ...]]:
        """See :class:`earshot.classification.types.Engine`."""
        counts = [len(request.options.labels) for request in requests]
        return [
            scores
            for part in rounds(counts, _ROUND_PAIRS)
            for scores in self._classify_round(requests[part], cancelled)
        ]

    def _classify_round(
        self, requests: Sequence[ClassificationRequest], cancelled: Callable[[], bool]
    ) -> Iterator[tuple[float, ...]]:
        pairs: list[Encoding] = []
        for request in requests:
            stop_if(cancelled)
            pairs += self._pairs.encode(request.text, _hypotheses(request.options))
        logits = self._logits(pairs, cancelled)
        ends = np.cumsum([len(request.options.labels) for request in requests])
        for request, share in zip(requests, np.split(logits, ends[:-1]), strict=True):
            yield _scores(share, self._verdicts, multi_label=request.options.multi_label)

    def _logits(self, pairs: Sequence[Encoding], cancelled: Callable[[], bool]) -> Floats:
        """What the model says of each pair: [pairs, verdicts]."""
        logits = np.empty((len(pairs), self._model.traits.size), np.float32)
        for group in self._groups(pairs):
            for batch in by_length([len(pairs[index]) for index in group], self._batch_tokens):
                stop_if(cancelled)
                chosen = [group[position] for position in batch]
                logits[chosen], _ = self._model.run([pairs[index] for index in chosen])
        return logits

    def _groups(self, pairs: Sequence[Encoding]) -> list[list[int]]:
        """Pairs that may share a batch.

        BART and its kin read the last end-of-sentence token, and want as many of them in each row;
        a text that spells one out has more.
        """
        end = self._model.traits.end_token
        groups: dict[int, list[int]] = defaultdict(list)
        for index, pair in enumerate(pairs):
            groups[0 if end is None else pair.ids.count(end)].append(index)
        return list(groups.values())


def _hypotheses(options: ClassificationOptions) -> list[str]:
    template = options.template or DEFAULT_TEMPLATE
    return [template.replace("{}", wording) for wording in options.wordings]


def _scores(logits: Floats, verdicts: Verdicts, *, multi_label: bool) -> tuple[float, ...]:
    """``logits`` is [labels, verdicts]. The pipeline treats a single label as one of several."""
    exact: NDArray[np.float64] = logits.astype(np.float64)
    if multi_label or len(exact) == 1:
        scores = softmax(exact[:, [verdicts.contradiction, verdicts.entailment]])[:, 1]
    else:
        scores = softmax(exact[:, verdicts.entailment])
    return tuple(scores.tolist())


def load(model: str, options: dict[str, str]) -> NliEngine:
    """The engine; ``model`` is a name in the cache or a checkpoint's folder.

    Raises :class:`earshot.errors.FailedPreconditionError` for a folder that holds none.
    """
    found = resolved(Kind.NLI, model, options)
    info = ModelInfo(found.name, NLI_ENGINE, (), _FEATURES, checksum=found.checksum)
    return build(prepared.load(Source.of(found), options), info)


def build(model: Model, info: ModelInfo) -> NliEngine:
    """The engine around a checkpoint that is loaded. Raises as :meth:`Verdicts.of`."""
    return NliEngine(model, replace(info, runtime=model.runtime))
