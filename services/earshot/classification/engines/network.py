"""What an engine computes with: a tokenizer and a network, whatever runs them. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

Fields = dict[str, NDArray[np.int64]]  # [rows, tokens] each, by the network's names
Floats = NDArray[np.float32]


class Network(Protocol):
    """Tokens to numbers."""

    def __call__(self, fields: Fields) -> Floats:
        """Of a sentence encoder each token's vector, [rows, tokens, size]; of NLI each row's logits."""
        ...


@dataclass(frozen=True, slots=True)
class Traits:
    """What must be known of a network beside its weights; kept as JSON."""

    inputs: tuple[str, ...]  # of input_ids, token_type_ids and attention_mask, those that it takes
    window: int  # tokens
    size: int  # of a vector, or how many verdicts
    pad_token: int | None  # None: it has none, and no two rows may share a batch
    end_token: int | None = None
    pooling: str = "mean"
    label2id: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A network that is loaded, with its tokenizer; ``runtime`` says what computes, for people."""

    tokenizer: Tokenizer
    network: Network
    traits: Traits
    runtime: str
    batch_tokens: int = 0  # padded, that it takes best at once; 0: as suits one core

    def tokens_at_once(self, usual: int) -> int:
        """Padded tokens of a batch; ``usual`` suits one core. One: no two rows may share it."""
        return 1 if self.traits.pad_token is None else self.batch_tokens or usual

    def run(self, rows: Sequence[Encoding]) -> tuple[Floats, NDArray[np.int64]]:
        """What the network says of the rows, padded to the longest, and the mask, [rows, tokens]."""
        fields = self.fields(rows)
        return self.network({name: fields[name] for name in self.traits.inputs}), fields["attention_mask"]

    def fields(self, rows: Sequence[Encoding]) -> Fields:
        """All that a network may take of them."""
        return {
            "input_ids": _padded([row.ids for row in rows], self.traits.pad_token or 0),
            "token_type_ids": _padded([row.type_ids for row in rows], 0),
            "attention_mask": _padded([row.attention_mask for row in rows], 0),
        }


def _padded(rows: Sequence[Sequence[int]], value: int) -> NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), value, np.int64)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded
