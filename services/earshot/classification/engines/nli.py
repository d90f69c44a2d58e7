"""Zero-shot by textual entailment: is the text the premise from which "This example is X." follows?

The method of Yin, Hay & Roth 2019, with any checkpoint trained on natural language inference, and
the same scores as transformers' own ``zero-shot-classification`` pipeline. That runs one pair of text
and label at a time; here the pairs of all requests are sorted by length and go through in batches.

A text longer than the model's window is cut, as the pipeline cuts it. Option: ``threads`` of torch
(default 1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from earshot.classification.engines.batches import by_length, rounds, stop_if
from earshot.classification.engines.checkpoints import NLI_ENGINE, loading, resolved
from earshot.classification.engines.lean import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_up,
)
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Feature, ModelInfo
from earshot.errors import FailedPreconditionError
from earshot.weights import Kind

DEFAULT_TEMPLATE: Final = "This example is {}."

_BATCH_TOKENS: Final = 512  # padded; on one core larger batches are no faster, and at 2,048 slower
_ROUND_PAIRS: Final = 2_048  # held as tokens at once
_WINDOW: Final = 512  # tokens; of models that do not say
_UNSAID: Final = 1_000_000  # tokenizers that do not say have a window of 1e30
_FEATURES: Final = (Feature.MULTI_LABEL, Feature.HYPOTHESIS_TEMPLATE)

Encoded = dict[str, list[int]]  # one pair, as the tokenizer's fields


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

    def __init__(self, tokenizer: PreTrainedTokenizerBase, window: int) -> None:
        self._tokenizer = tokenizer
        self._window = window

    def encode(self, text: str, hypotheses: Sequence[str]) -> list[Encoded]:
        """One pair for each hypothesis; what is too long loses the end of the text."""
        texts = [self._shortened(text)] * len(hypotheses)
        try:
            fields = self._fields(texts, hypotheses, "only_first")
        # The tokenizers raise bare exceptions when a hypothesis alone fills the window.
        except Exception:
            fields = self._fields(texts, hypotheses, "longest_first")
        return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]

    def pad(self, pairs: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Pairs to tensors, [pairs, tokens] each."""
        fields = {name: [pair[name] for pair in pairs] for name in pairs[0]}
        return dict(self._tokenizer.pad(fields, return_tensors="pt"))

    def _fields(self, texts: list[str], hypotheses: Sequence[str], strategy: str) -> dict[str, Any]:
        return dict(
            self._tokenizer(
                texts,
                list(hypotheses),
                truncation=strategy,
                max_length=self._window,
                return_attention_mask=False,
            )
        )

    def _shortened(self, text: str) -> str:
        """``text`` without an end that no window could hold, which would be encoded for every label.

        Twice the window, so that where it is cut, in the middle of a word perhaps, makes no difference.
        """
        fields = self._tokenizer(
            text,
            add_special_tokens=False,
            truncation=True,
            max_length=2 * self._window,
            return_offsets_mapping=True,
        )
        offsets = fields["offset_mapping"]
        return text if len(offsets) < 2 * self._window else text[: offsets[-1][1]]


class NliEngine:
    """An :class:`earshot.classification.types.Engine`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, info: ModelInfo) -> None:
        self.info = info
        self._pairs = PairEncoder(tokenizer, _window(tokenizer, model.config))
        self._model = model
        self._verdicts = Verdicts.of(model.config.label2id)
        # A model that knows no padding cannot tell where a row ends: one pair at a time.
        self._batch_tokens = 1 if model.config.pad_token_id is None else _BATCH_TOKENS

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
        pairs: list[Encoded] = []
        for request in requests:
            stop_if(cancelled)
            pairs += self._pairs.encode(request.text, _hypotheses(request.options))
        logits = self._logits(pairs, cancelled)
        shares = logits.split([len(request.options.labels) for request in requests])
        for request, share in zip(requests, shares, strict=True):
            yield _scores(share, self._verdicts, multi_label=request.options.multi_label)

    def _logits(self, pairs: Sequence[Encoded], cancelled: Callable[[], bool]) -> torch.Tensor:
        """What the model says of each pair: [pairs, verdicts]."""
        logits = torch.empty(len(pairs), self._model.config.num_labels)
        for group in self._groups(pairs):
            for batch in by_length([len(pairs[index]["input_ids"]) for index in group], self._batch_tokens):
                stop_if(cancelled)
                chosen = [group[position] for position in batch]
                with torch.inference_mode():
                    inputs = self._pairs.pad([pairs[index] for index in chosen])
                    logits[chosen] = self._model(**inputs).logits.float()
        return logits

    def _groups(self, pairs: Sequence[Encoded]) -> list[list[int]]:
        """Pairs that may share a batch.

        BART and its kin read the last end-of-sentence token, and want as many of them in each row;
        a text that spells one out has more.
        """
        end = self._model.config.eos_token_id
        groups: dict[int, list[int]] = defaultdict(list)
        for index, pair in enumerate(pairs):
            groups[pair["input_ids"].count(end)].append(index)
        return list(groups.values())


def _hypotheses(options: ClassificationOptions) -> list[str]:
    template = options.template or DEFAULT_TEMPLATE
    return [template.replace("{}", wording) for wording in options.wordings]


def _scores(logits: torch.Tensor, verdicts: Verdicts, *, multi_label: bool) -> tuple[float, ...]:
    """``logits`` is [labels, verdicts]. The pipeline treats a single label as one of several."""
    logits = logits.double()
    if multi_label or len(logits) == 1:
        scores = logits[:, [verdicts.contradiction, verdicts.entailment]].softmax(-1)[:, 1]
    else:
        scores = logits[:, verdicts.entailment].softmax(-1)
    return tuple(scores.tolist())


def _window(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> int:
    """How many tokens fit.

    Where the tokenizer does not say, the model's positions do, less two: RoBERTa's begin after its
    padding token. The pipeline would not cut there, and go on into positions that do not exist, or
    for as long as the text is.
    """
    if tokenizer.model_max_length < _UNSAID:
        return int(tokenizer.model_max_length)
    return int(getattr(config, "max_position_embeddings", _WINDOW)) - 2


def load(model: str, options: dict[str, str]) -> NliEngine:
    """The engine; ``model`` is a name in the cache or a checkpoint's folder.

    Raises :class:`earshot.errors.FailedPreconditionError` for a folder that holds none.
    """
    set_up(int(options.get("threads", "1")))
    found = resolved(Kind.NLI, model, options)
    with loading(found.path, "an NLI checkpoint"):
        tokenizer = AutoTokenizer.from_pretrained(found.path, local_files_only=True)
        network = _network(found.path)
        # Decoder-only checkpoints may come without; the pipeline has the last token stand in.
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    info = ModelInfo(found.name, NLI_ENGINE, (), _FEATURES, checksum=found.checksum)
    return NliEngine(tokenizer, network, info)


def _network(folder: Path) -> PreTrainedModel:
    network = AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    )
    network.config.use_cache = False  # there is no next token
    return network.eval()
