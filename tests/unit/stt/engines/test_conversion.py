"""openai-whisper's checkpoints as CTranslate2 reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
import torch
import whisper
from ctranslate2.converters import TransformersConverter
from transformers import WhisperConfig, WhisperForConditionalGeneration
from whisper.tokenizer import get_tokenizer

from earshot.stt.engines import conversion
from earshot.weights import Kind, resolve

# openai-whisper leaves its vocabulary's file to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*tiktoken:ResourceWarning")

TEXTS = [
    " zero one two",
    "It's 10:45, isn't it?  We've  had 3.14159 of them…",
    "Straße, naïve café, œuvre",
    "你好世界 — こんにちは",
    "emoji 🎧🗣️ and \t tabs \n lines ",
    "",
]


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    return conversion.converted(resolve(Kind.WHISPER, str(checkpoint), cache), cache)


def shape(vocabulary: int) -> whisper.Whisper:
    return whisper.Whisper(whisper.model.ModelDimensions(80, 1500, 64, 2, 1, vocabulary, 448, 64, 2, 1))


def test_the_folder_is_whole_and_in_its_place(folder: Path, checkpoint: Path) -> None:
    found = resolve(Kind.WHISPER, str(checkpoint), folder.parent)
    assert folder.name == found.checksum.removeprefix("sha256:")
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "model.bin",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocabulary.json",
    }
    assert {path.name for path in folder.parent.iterdir()} - {folder.name} == {f".{folder.name}.lock"}


def test_it_is_converted_once(folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "_in_a_process", lambda *_: pytest.fail("converted again"))
    cache = folder.parents[1]
    assert conversion.converted(resolve(Kind.WHISPER, str(checkpoint), cache), cache) == folder


@pytest.mark.parametrize("vocabulary", [51864, 51865, 51866], ids=["english", "multilingual", "large-v3"])
def test_the_tokenizer_is_openai_whispers(vocabulary: int, tmp_path: Path) -> None:
    model = shape(vocabulary)
    theirs = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    conversion._tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    ours = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        tokens = theirs.encode(text)
        assert ours.encode(text, add_special_tokens=False).ids == tokens
        assert ours.decode(tokens) == text
    for token, number in theirs.special_tokens.items():
        assert ours.token_to_id(token) == (number if number < theirs.timestamp_begin else None)


def test_what_is_never_said(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    theirs = get_tokenizer(multilingual=False)
    assert set(theirs.non_speech_tokens) < set(config["suppress_ids"])
    assert config["suppress_ids_begin"] == [theirs.encode(" ")[0], theirs.eot]
    assert config["lang_ids"] == []


def test_languages_and_where_words_align(tmp_path: Path) -> None:
    model = shape(51865)
    model.register_buffer("alignment_heads", torch.tensor([[False, True]]).to_sparse(), persistent=False)
    (tmp_path / "converted").mkdir()
    conversion._save_for_transformers(model, tmp_path)
    TransformersConverter(str(tmp_path)).convert(str(tmp_path / "converted"), force=True)
    config = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert config["alignment_heads"] == [[0, 1]]
    assert config["lang_ids"] == sorted(get_tokenizer(multilingual=True).all_language_tokens)


def test_every_weight_has_its_place() -> None:
    model = shape(51864)
    same = WhisperForConditionalGeneration(WhisperConfig(**conversion._config(model))).model.state_dict()
    renamed = {conversion._renamed(name): weight.shape for name, weight in model.state_dict().items()}
    assert renamed == {name: weight.shape for name, weight in same.items()}


def test_both_give_the_same_logits(checkpoint: Path, tmp_path: Path) -> None:
    model = whisper.load_model(str(checkpoint), device="cpu")
    conversion._save_for_transformers(model, tmp_path)
    same = WhisperForConditionalGeneration.from_pretrained(tmp_path)
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[50257, 50362, 6632]])
    with torch.no_grad():
        theirs = model(mel, tokens)
        ours = same(input_features=mel, decoder_input_ids=tokens).logits
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
