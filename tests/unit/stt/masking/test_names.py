"""Names, by a checkpoint that knows two of them."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

from earshot import errors
from earshot.runtime.settings import read
from earshot.stt.masking.masks import masked
from earshot.stt.masking.names import Names
from earshot.stt.settings import SpeechSettings
from earshot.stt.types import RecognitionOptions, Redaction, Segment, Transcript

VOCABULARY = ("[PAD]", "[UNK]", "anna", "smith")
WIDTH = 8


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    """A real checkpoint, as transformers saves it, without a layer: a word is a name by its vector."""
    folder = tmp_path_factory.mktemp("names")
    vocabulary = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    labels = ("O", "B-PER", "I-PER")
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=WIDTH,
        num_hidden_layers=0,
        num_attention_heads=1,
        intermediate_size=WIDTH,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    _taught(BertForTokenClassification(config)).save_pretrained(folder)
    return Names(str(folder))


def _taught(model: BertForTokenClassification) -> BertForTokenClassification:
    vectors = model.bert.embeddings
    with torch.no_grad():
        for part in (vectors.position_embeddings, vectors.token_type_embeddings, vectors.word_embeddings):
            part.weight.zero_()
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
        for word, label in (("anna", 1), ("smith", 2)):
            vectors.word_embeddings.weight[VOCABULARY.index(word), label] = 1.0
            model.classifier.weight[label, label] = 5.0
    return model.eval()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("this is Anna Smith, hello", "this is [NAME], hello"),
        ("anna called", "[NAME] called"),
        ("nobody called", "nobody called"),
        ("", ""),
        (" ".join(["word"] * 144 + ["anna", "smith"] + ["word"] * 200), None),
    ],
)
def test_names_are_taken_out(names: Names, text: str, expected: str | None) -> None:
    transcript = Transcript((Segment(text, 0.0, 1.0),), "en")
    (segment,) = masked(transcript, RecognitionOptions(redact=(Redaction.NAME,)), names).segments
    wanted = expected if expected is not None else text.replace("anna smith", "[NAME]")
    assert segment.text == wanted


def test_a_rule_that_nothing_can_follow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_REDACT", "name")
    with pytest.raises(errors.InvalidArgumentError, match="EARSHOT_NAME_MODEL"):
        read(SpeechSettings)
    monkeypatch.setenv("EARSHOT_NAME_MODEL", "/models/names")
    assert read(SpeechSettings).rules.names
    monkeypatch.setenv("EARSHOT_REDACT", "names")
    with pytest.raises(errors.InvalidArgumentError, match="names: none of number, email"):
        read(SpeechSettings)
