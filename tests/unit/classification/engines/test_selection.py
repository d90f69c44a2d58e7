"""Which engine serves; nothing is loaded for it."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from earshot import errors, weights
from earshot.classification.engines.selection import select


def checkpoint(folder: Path, architecture: str = "BertForSequenceClassification") -> Path:
    """As much of one as a selection looks at."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    return folder


def cached(cache: Path, kind: weights.Kind, name: str) -> None:
    checkpoint(cache / kind / name.replace("/", "--"))


def test_auto_falls_back_and_says_why(tmp_path: Path) -> None:
    chosen = select("auto", "", tmp_path)
    assert (chosen.engine, chosen.model) == ("embedding", "all-MiniLM-L6-v2")
    assert "no NLI weights" in chosen.fallback_reason
    assert "earshot models pull" in chosen.fallback_reason
    assert str(tmp_path) not in chosen.fallback_reason  # it goes out in every response


def test_auto_takes_nli_where_its_weights_are(tmp_path: Path) -> None:
    cached(tmp_path, weights.Kind.NLI, "facebook/bart-large-mnli")
    chosen = select("auto", "", tmp_path)
    assert (chosen.engine, chosen.model) == ("nli", "facebook/bart-large-mnli")
    assert chosen.fallback_reason == ""


def test_of_several_the_catalogs_first(tmp_path: Path) -> None:
    first, second, *_ = [one.name for one in weights.known() if one.kind == weights.Kind.NLI]
    for name in ("aaa/own-nli", second, first):
        cached(tmp_path, weights.Kind.NLI, name)
        assert select("nli", "", tmp_path).model == name


@pytest.mark.parametrize(
    ("engine", "architecture", "expected"),
    [
        ("auto", "BertForSequenceClassification", "nli"),
        ("auto", "BertModel", "embedding"),
        ("nli", "BertForSequenceClassification", "nli"),
        ("embedding", "BertModel", "embedding"),
    ],
)
def test_a_folder_is_served_by_its_kind(
    tmp_path: Path, engine: str, architecture: str, expected: str
) -> None:
    folder = checkpoint(tmp_path / "given", architecture)
    chosen = select(engine, str(folder), tmp_path / "cache")
    assert (chosen.engine, chosen.model, chosen.fallback_reason) == (expected, str(folder), "")


def test_a_cached_sentence_encoder_by_name(tmp_path: Path) -> None:
    name = "BAAI/bge-small-en-v1.5"
    checkpoint(tmp_path / "embedding" / name.replace("/", "--"), "BertModel")
    assert select("auto", name, tmp_path).engine == "embedding"
    assert select("embedding", name, tmp_path).model == name


@pytest.mark.parametrize(
    ("engine", "model"), [("embedding", ""), ("embedding", "all-MiniLM-L6-v2"), ("auto", "all-MiniLM-L6-v2")]
)
def test_the_embedded_model_asked_for_is_no_fallback(tmp_path: Path, engine: str, model: str) -> None:
    chosen = select(engine, model, tmp_path)
    assert (chosen.engine, chosen.model, chosen.fallback_reason) == ("embedding", "all-MiniLM-L6-v2", "")


@pytest.mark.parametrize(
    ("engine", "model"),
    [
        ("nli", ""),
        ("nli", "facebook/bart-large-mnli"),
        ("auto", "facebook/bart-large-mnli"),
        ("embedding", "BAAI/bge-small-en-v1.5"),
        ("auto", "BAAI/bge-small-en-v1.5"),
        ("nli", "someone/own-nli"),
        ("auto", "someone/own-nli"),
    ],
)
def test_a_model_that_is_asked_for_is_not_replaced(tmp_path: Path, engine: str, model: str) -> None:
    with pytest.raises(errors.FailedPreconditionError, match="earshot models pull") as caught:
        select(engine, model, tmp_path)
    assert caught.value.field == "model"


def test_a_name_that_nobody_publishes(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFoundError):
        select("nli", "no such model", tmp_path)


def test_an_unknown_engine(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="auto, nli, embedding") as caught:
        select("bart", "", tmp_path)
    assert caught.value.field == "engine"


def test_a_light_install_is_told_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(errors.FailedPreconditionError, match=r"need transformers: pip install '\.\["):
        select("auto", "", tmp_path)


def test_loaders_are_there(tmp_path: Path) -> None:
    cached(tmp_path, weights.Kind.NLI, "facebook/bart-large-mnli")
    for engine in ("nli", "embedding"):
        module, _, name = select(engine, "", tmp_path).loader.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
