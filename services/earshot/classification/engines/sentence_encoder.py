"""Texts to vectors, by a transformer trained for it.

Sentence-BERT (Reimers & Gurevych 2019): the vectors of a text's tokens, averaged, scaled to length one.
Reads a folder as sentence-transformers writes them; nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from earshot.classification.engines.batches import by_length, rounds, stop_if
from earshot.classification.engines.checkpoints import read
from earshot.classification.engines.lean import AutoModel, AutoTokenizer
from earshot.errors import FailedPreconditionError

_WINDOW: Final = 256  # tokens; of models that do not say what they were trained on
# Padded. On one core larger batches are slower, as they outgrow its cache: batches of 32 texts go
# through at 178 a second with 256, 142 with 512, 91 with 2,048; and hold 490, 540, 650 MB resident.
_BATCH_TOKENS: Final = 256
_ROUND_CHARACTERS: Final = 500_000  # held as tokens at once
_MODULES: Final = {"Transformer", "Pooling", "Normalize"}  # of sentence-transformers


class SentenceEncoder:
    """Texts to unit vectors, by a transformer in a local folder."""

    def __init__(self, folder: Path) -> None:
        _check_modules(folder)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        self._window = min(_window(folder), self._tokenizer.model_max_length)
        self._pool = _POOLING[_pooling(folder)]
        self.size: int = self._model.config.hidden_size

    def encode(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> torch.Tensor:
        """One unit vector for each text: [texts, size], float32.

        A text longer than the model's window goes through in several; its vector is their mean,
        each weighing as much as it has tokens, so that all of the text counts.
        """
        parts = rounds([len(text) for text in texts], _ROUND_CHARACTERS)
        vectors = [self._encode_round(texts[part], cancelled) for part in parts]
        return torch.cat(vectors) if vectors else torch.empty(0, self.size)

    def _encode_round(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> torch.Tensor:
        windows = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self._window,
            return_overflowing_tokens=True,
            return_attention_mask=False,
        )
        text_of = torch.tensor(windows.pop("overflow_to_sample_mapping"))
        sums = torch.zeros(len(texts), self.size)
        for batch in by_length([len(ids) for ids in windows["input_ids"]], _BATCH_TOKENS):
            stop_if(cancelled)
            sums.index_add_(0, text_of[batch], self._window_sums(windows, batch))
        return torch.nn.functional.normalize(sums, dim=1)

    def _window_sums(self, windows: dict[str, Any], batch: list[int]) -> torch.Tensor:
        """Each window's pooled vector, times its tokens."""
        chosen = {name: [values[index] for index in batch] for name, values in windows.items()}
        inputs = self._tokenizer.pad(chosen, return_tensors="pt")
        mask = inputs["attention_mask"].unsqueeze(-1)
        with torch.inference_mode():
            hidden = self._model(**inputs).last_hidden_state
            return self._pool(hidden, mask) * mask.sum(1)


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (hidden * mask).sum(1) / mask.sum(1)


def _first(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 - one shape for both
    return hidden[:, 0]


_POOLING: Final = {"mean": _mean, "cls": _first}


def _check_modules(folder: Path) -> None:
    """What sentence-transformers would apply; a step left out would give other vectors, in silence."""
    steps = {str(module["type"]).rpartition(".")[2] for module in read(folder / "modules.json", [])}
    if not steps <= _MODULES:
        raise FailedPreconditionError(
            f"the sentence encoder needs {', '.join(sorted(steps - _MODULES))}, which is not supported:"
            " choose another",
            reason="MODEL_UNREADABLE",
            field="model",
        )


def _pooling(folder: Path) -> str:
    """How the model was trained to be pooled, by sentence-transformers' own files; mean if unsaid."""
    config = read(folder / "1_Pooling" / "config.json", {})
    marked = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    wanted = config.get("pooling_mode") or ",".join(
        key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token") for key in marked
    )
    pooling = str(wanted or "mean")
    if pooling not in _POOLING:
        raise FailedPreconditionError(
            f"the sentence encoder is pooled by {pooling!r}; known are {', '.join(_POOLING)}: choose another",
            reason="MODEL_UNREADABLE",
            field="model",
        )
    return pooling


def _window(folder: Path) -> int:
    """How many tokens the model was trained on."""
    return int(read(folder / "sentence_bert_config.json", {}).get("max_seq_length") or _WINDOW)
