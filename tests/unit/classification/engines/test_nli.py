"""The entailment engine against transformers' own pipeline, on real architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline
from transformers.utils import logging

from earshot import errors
from earshot.classification.engines import nli, torch_network
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Feature, ModelInfo
from earshot.weights import Kind
from tests.unit.classification.engines import making

LABELS = ("cooking", "travel and places", "the weather", "politics", "a very long label of many more words")
TEXTS = (
    "Wake me up at seven.",
    "The card was charged twice and the bank did not answer for a week, nor for a month after that.",
    "music",
    "Is it going to rain tomorrow? ¿Qué tiempo hace? 明日は雨ですか",
    "politics " * 200,  # past the window
)
TEMPLATES = ("", "This text is about {}.", "{}", "Someone said: {}, or so.")
MAKERS = (making.bert, making.roberta, making.bart, making.gpt2)


def never() -> bool:
    return False


def exact(folder: Path) -> nli.NliEngine:
    """The engine on what the pipeline computes with."""
    return nli.build(torch_network.load(Kind.NLI, folder), ModelInfo("", "nli", (), ()))


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("nli") / "tiny-nli")


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> nli.NliEngine:
    return exact(checkpoint)


@pytest.fixture(scope="module")
def peer(checkpoint: Path) -> Callable[..., list[float]]:
    return peer_of(checkpoint)


def peer_of(checkpoint: Path) -> Callable[..., list[float]]:
    """The library's own pipeline, with its scores in the labels' order."""
    logging.set_verbosity_error()
    scorer = pipeline("zero-shot-classification", model=str(checkpoint), device=-1)

    def scores(text: str, labels: tuple[str, ...], template: str, multi_label: bool) -> list[float]:
        options: dict[str, Any] = {"hypothesis_template": template} if template else {}
        answer = scorer(text, candidate_labels=list(labels), multi_label=multi_label, **options)
        found = dict(zip(answer["labels"], answer["scores"], strict=True))
        return [found[label] for label in labels]

    return scores


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("template", TEMPLATES)
def test_scores_are_the_pipelines(
    engine: nli.NliEngine, peer: Callable[..., list[float]], template: str, multi_label: bool
) -> None:
    options = ClassificationOptions(LABELS, template=template, multi_label=multi_label)
    scores = engine.classify([ClassificationRequest(text, options) for text in TEXTS], never)
    for text, found in zip(TEXTS, scores, strict=True):
        assert found == pytest.approx(peer(text, LABELS, template, multi_label), abs=1e-5)
        assert max(found) > 1.01 * min(found)  # else any engine would pass
    if not multi_label:
        assert [sum(found) for found in scores] == pytest.approx([1.0] * len(TEXTS))


def test_a_single_label_is_scored_by_itself(engine: nli.NliEngine, peer: Callable[..., list[float]]) -> None:
    for multi_label in (True, False):
        options = ClassificationOptions(("cooking",), multi_label=multi_label)
        (scores,) = engine.classify([ClassificationRequest(TEXTS[1], options)], never)
        assert scores == pytest.approx(peer(TEXTS[1], ("cooking",), "", multi_label), abs=1e-5)
        assert 0 < scores[0] < 1


def test_requests_of_different_shapes_share_a_batch(
    engine: nli.NliEngine, peer: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nli, "_ROUND_PAIRS", 6)  # several rounds too
    asked = [
        (TEXTS[0], LABELS, "", False),
        (TEXTS[4], LABELS[:2], "About {}.", True),
        (TEXTS[1], ("cooking",), "", True),
        (TEXTS[2], LABELS[1:4], "{}", False),
    ]
    requests = [
        ClassificationRequest(text, ClassificationOptions(labels, template=template, multi_label=multi))
        for text, labels, template, multi in asked
    ]
    for one, scores in zip(asked, engine.classify(requests, never), strict=True):
        assert scores == pytest.approx(peer(*one), abs=1e-5)


def test_descriptions_stand_in_for_labels(engine: nli.NliEngine, peer: Callable[..., list[float]]) -> None:
    described = ("how to cook a meal", "going places")
    options = ClassificationOptions(("a", "b"), descriptions=described)
    (scores,) = engine.classify([ClassificationRequest(TEXTS[0], options)], never)
    assert scores == pytest.approx(peer(TEXTS[0], described, "", False), abs=1e-5)


def test_text_that_spells_out_a_special_token_harms_nobody(
    engine: nli.NliEngine, peer: Callable[..., list[float]]
) -> None:
    """BART refuses a batch whose rows differ in end-of-sentence tokens."""
    texts = ("plain", "one </s> more", "</s></s></s>")
    options = ClassificationOptions(LABELS)
    scores = engine.classify([ClassificationRequest(text, options) for text in texts], never)
    for text, found in zip(texts, scores, strict=True):
        assert found == pytest.approx(peer(text, LABELS, "", False), abs=1e-5)


def test_a_label_longer_than_the_window_is_cut(engine: nli.NliEngine) -> None:
    """Where the pipeline runs into positions that do not exist."""
    options = ClassificationOptions(("cooking", "weather " * 100))
    (scores,) = engine.classify([ClassificationRequest("Is it raining?", options)], never)
    assert sum(scores) == pytest.approx(1.0)


@pytest.mark.parametrize("label2id", [making.THREE_WAY, making.TWO_WAY])
def test_verdicts_stand_where_the_config_says(tmp_path: Path, label2id: dict[str, int]) -> None:
    folder = making.bert(tmp_path / "order", label2id)
    options = ClassificationOptions(LABELS, multi_label=True)
    (scores,) = exact(folder).classify([ClassificationRequest(TEXTS[1], options)], never)
    assert scores == pytest.approx(peer_of(folder)(TEXTS[1], LABELS, "", True), abs=1e-5)


def test_a_window_that_the_tokenizer_does_not_tell_is_the_models(tmp_path: Path) -> None:
    engine = exact(making.bert(tmp_path / "unsaid", window=None))
    (scores,) = engine.classify([ClassificationRequest("word " * 1000, ClassificationOptions(LABELS))], never)
    assert sum(scores) == pytest.approx(1.0)


def test_it_stops_when_the_caller_has_gone(engine: nli.NliEngine) -> None:
    polls = iter([False, False, True])
    requests = [ClassificationRequest(text, ClassificationOptions(LABELS)) for text in TEXTS]
    with pytest.raises(errors.CancelledError):
        engine.classify(requests, lambda: next(polls))


def test_it_says_what_it_is(tmp_path: Path) -> None:
    engine = nli.load(str(making.bert(tmp_path / "tiny-nli")), {"cache": str(tmp_path)})
    assert (engine.info.name, engine.info.engine) == ("tiny-nli", "nli")
    assert set(engine.info.features) == set(Feature)
    assert engine.info.checksum.startswith("sha256:")


def test_a_model_by_name_comes_from_the_cache(tmp_path: Path) -> None:
    making.bert(tmp_path / "nli" / "facebook--bart-large-mnli")
    engine = nli.load("facebook/bart-large-mnli", {"cache": str(tmp_path)})
    assert engine.info.name == "facebook/bart-large-mnli"


def test_a_classifier_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = making.bert(tmp_path / "sentiment", {"negative": 0, "positive": 1})
    with pytest.raises(
        errors.FailedPreconditionError, match=r"natural language inference.*negative, positive"
    ):
        nli.load(str(folder), {"cache": str(tmp_path)})


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPreconditionError, match=r"no config\.json"):
        nli.load(str(tmp_path), {"cache": str(tmp_path)})


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    weights = making.bert(tmp_path / "cut") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(errors.FailedPreconditionError, match="cannot be loaded as an NLI checkpoint"):
        nli.load(str(weights.parent), {"cache": str(tmp_path)})
