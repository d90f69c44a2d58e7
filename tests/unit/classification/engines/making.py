"""Real checkpoints, tiny and with random weights, as transformers itself saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

WINDOW = 64  # tokens
_CORPUS = (
    "This example is about cooking, travel, sports, politics or the weather.",
    "The card was charged twice and the bank did not answer for a week.",
    "Wake me up at seven, and play some music that I like.",
)
_ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    # Wide, so that texts and labels make a difference in random weights.
    "initializer_range": 0.5,
}
THREE_WAY = {"contradiction": 0, "neutral": 1, "entailment": 2}
TWO_WAY = {"Entailment": 0, "not_entailment": 1}


def bert(folder: Path, label2id: dict[str, int] = THREE_WAY, *, window: int | None = WINDOW) -> Path:
    """Segment ids, and verdicts in the order that is asked for."""
    tokenizer = _wordpiece(window)
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=WINDOW, **_SMALL, **_labels(label2id)
    )
    return _saved(folder, tokenizer, config, BertForSequenceClassification)


def roberta(folder: Path) -> Path:
    """Positions that start after the padding's."""
    tokenizer = _bytelevel(padded=True)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=WINDOW + 2,
        type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **_SMALL,
        **_labels(THREE_WAY),
    )
    return _saved(folder, tokenizer, config, RobertaForSequenceClassification)


def bart(folder: Path) -> Path:
    """Reads the last end-of-sentence token; as facebook/bart-large-mnli."""
    tokenizer = _bytelevel(padded=True)
    config = BartConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=WINDOW,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        init_std=0.5,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
        **_labels(THREE_WAY),
    )
    return _saved(folder, tokenizer, config, BartForSequenceClassification)


def gpt2(folder: Path) -> Path:
    """Decoder only, without a padding token."""
    tokenizer = _bytelevel(padded=False)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=WINDOW,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **_labels(THREE_WAY),
    )
    return _saved(folder, tokenizer, config, GPT2ForSequenceClassification)


def sentence_encoder(folder: Path) -> Path:
    """A transformer without a head."""
    tokenizer = _wordpiece(WINDOW)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=WINDOW, **_SMALL)
    return _saved(folder, tokenizer, config, BertModel)


def _labels(label2id: dict[str, int]) -> dict[str, Any]:
    return {"label2id": label2id, "id2label": {index: label for label, index in label2id.items()}}


def _wordpiece(window: int | None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(_CORPUS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **({"model_max_length": window} if window else {}),
    )


def _bytelevel(*, padded: bool) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    roles = {**_ROLES, "pad_token": "<pad>"} if padded else _ROLES
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=WINDOW,
        model_input_names=["input_ids", "attention_mask"],
        **roles,
    )


def _saved(
    folder: Path, tokenizer: PreTrainedTokenizerFast, config: Any, kind: type[PreTrainedModel]
) -> Path:
    torch.manual_seed(7)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
