"""What a request may ask of its labels and texts, and how each mistake is named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.classification import responses
from earshot.classification.labels import (
    LabelConfig,
    LabelLimits,
    LabelSet,
    check_texts,
    cut_of,
    label_set,
    label_sets,
)
from earshot.classification.ranking import Cut, rank
from earshot.errors import InvalidArgumentError, OutOfRangeError
from earshot.gen.v1 import classification_pb2

LIMITS = LabelLimits(
    max_labels=10, max_label_characters=20, max_texts=3, max_text_characters=50, max_scores=12
)
AB = ("a", "b")

# What is wrong, then the field and the reason that say so.
WRONG_CONFIGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no labels": ({}, "candidate_labels", "LABELS_REQUIRED"),
    "no labels, multi": ({"multi_label": True}, "candidate_labels", "LABELS_REQUIRED"),
    "one label": ({"candidate_labels": ["a"]}, "candidate_labels", "ONE_LABEL"),
    "10,000 labels": (
        {"candidate_labels": [f"label {i}" for i in range(10_000)]},
        "candidate_labels",
        "TOO_MANY_LABELS",
    ),
    "empty label": ({"candidate_labels": ["a", "b", ""]}, "candidate_labels[2]", "BLANK"),
    "blank label": ({"candidate_labels": ["a", " \t\u00a0", "b"]}, "candidate_labels[1]", "BLANK"),
    "doubled": ({"candidate_labels": ["a", "b", "a"]}, "candidate_labels[2]", "LABEL_DOUBLED"),
    "doubled but for spaces": ({"candidate_labels": ["a", " a "]}, "candidate_labels[1]", "LABEL_DOUBLED"),
    "doubled but for case": (
        {"candidate_labels": ["Straße", "STRASSE"]},
        "candidate_labels[1]",
        "LABEL_DOUBLED",
    ),
    "doubled but for form": ({"candidate_labels": ["é", "e\u0301"]}, "candidate_labels[1]", "LABEL_DOUBLED"),
    "long label": ({"candidate_labels": ["a", "b" * 21]}, "candidate_labels[1]", "TOO_LONG"),
    "stray description": (
        {"candidate_labels": AB, "label_descriptions": {"c": "see"}},
        "label_descriptions",
        "DESCRIPTION_WITHOUT_LABEL",
    ),
    "blank description": (
        {"candidate_labels": AB, "label_descriptions": {"a": "  "}},
        "label_descriptions",
        "BLANK",
    ),
    "long description": (
        {"candidate_labels": AB, "label_descriptions": {"a": "x" * 21}},
        "label_descriptions",
        "TOO_LONG",
    ),
    "two descriptions": (
        {"candidate_labels": AB, "label_descriptions": {"a": "one", "A ": "two"}},
        "label_descriptions",
        "DESCRIPTION_DOUBLED",
    ),
    **{
        f"template {template!r}": (
            {"candidate_labels": AB, "hypothesis_template": template},
            "hypothesis_template",
            "TEMPLATE_PLACEHOLDER",
        )
        for template in ("about", "{} and {}", "{0}", "{label}", "{{}}", "{}}", "{ }", " ", "a { {}")
    },
    "long template": (
        {"candidate_labels": AB, "hypothesis_template": "x" * 20 + "{}"},
        "hypothesis_template",
        "TOO_LONG",
    ),
}


@pytest.mark.parametrize("field", ["config", "classification_config"])
@pytest.mark.parametrize(("config", "where", "reason"), WRONG_CONFIGS.values(), ids=WRONG_CONFIGS)
def test_a_wrong_config_is_refused_by_name(
    config: dict[str, Any], where: str, reason: str, field: str
) -> None:
    for ask in (
        lambda: label_set(LabelConfig(**config), LIMITS, field),
        lambda: label_sets([()], LabelConfig(**config), LIMITS, field),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            ask()
        assert (caught.value.field, caught.value.reason) == (f"{field}.{where}", reason)
        assert caught.value.message


@pytest.mark.parametrize(
    ("own", "field", "reason"),
    [
        ([AB, ["a"]], "inputs[1].candidate_labels", "ONE_LABEL"),
        ([AB, AB, ["a", "b", " "]], "inputs[2].candidate_labels[2]", "BLANK"),
        ([["x", "X"]], "inputs[0].candidate_labels[1]", "LABEL_DOUBLED"),
        ([AB, ()], "config.candidate_labels", "LABELS_REQUIRED"),
        ([["a", "b" * 21]], "inputs[0].candidate_labels[1]", "TOO_LONG"),
        ([[f"{i}" for i in range(11)]], "inputs[0].candidate_labels", "TOO_MANY_LABELS"),
        ([[f"{i}" for i in range(7)]] * 2, "inputs", "TOO_MANY_SCORES"),
    ],
)
def test_wrong_labels_of_an_input_are_refused_by_name(own: Any, field: str, reason: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        label_sets(own, LabelConfig(), LIMITS)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_an_answer_that_would_be_too_long_is_refused() -> None:
    """Also where labels have spaces around them, which the answer repeats and no label's length counts."""
    padded = ["a" + " " * 2**18, "b"]
    assert label_sets([padded] * 3, LabelConfig(), LIMITS)
    with pytest.raises(InvalidArgumentError) as caught:
        label_sets([padded] * 4, LabelConfig(), LIMITS)
    assert (caught.value.field, caught.value.reason) == ("inputs", "ANSWER_TOO_LONG")
    with pytest.raises(InvalidArgumentError) as caught:
        label_set(LabelConfig(["a" + " " * 2**20, "b"]), LIMITS)
    assert caught.value.field == "classification_config.candidate_labels"


def test_less_is_asked_for_with_top_k() -> None:
    long = [letter * 2**18 for letter in "abcde"]
    limits = LabelLimits(max_label_characters=2**18)
    assert label_sets([long], LabelConfig(top_k=3), limits)
    with pytest.raises(InvalidArgumentError, match="top_k"):
        label_sets([long], LabelConfig(top_k=4), limits)


@given(st.lists(st.text(min_size=1, max_size=300), min_size=2, max_size=9), st.integers(1, 9))
def test_no_answer_is_longer_than_it_was_said_to_be(labels: list[str], top_k: int) -> None:
    config = LabelConfig(labels, top_k=top_k)
    try:
        chosen = label_set(config, LabelLimits())
    except InvalidArgumentError:
        return
    ranked = rank(chosen.given, [0.5] * len(labels), cut_of(config))
    answer = classification_pb2.ClassifyResponse(results=[responses.result(ranked)])
    assert answer.ByteSize() <= chosen.answer_bytes


def test_no_message_holds_what_the_caller_wrote() -> None:
    words = "top secret"
    config = LabelConfig([words, words.upper()], {words: " "}, words)
    for change in (config, LabelConfig([words, words.upper()]), LabelConfig(AB, {words: "x"})):
        with pytest.raises(InvalidArgumentError) as caught:
            label_set(change, LIMITS)
        assert words not in caught.value.message.lower() + caught.value.field


def test_one_label_is_enough_for_a_score_of_its_own() -> None:
    assert label_set(LabelConfig(["a"], multi_label=True), LIMITS).options.labels == ("a",)


def test_the_engine_gets_trimmed_labels_and_the_answer_the_callers() -> None:
    chosen = label_set(LabelConfig([" lost card", "Refund\n"], hypothesis_template="On {}."), LIMITS)
    assert chosen.given == (" lost card", "Refund\n")
    assert chosen.options.labels == chosen.options.wordings == ("lost card", "Refund")
    assert (chosen.options.template, chosen.options.multi_label) == ("On {}.", False)


def test_descriptions_replace_the_words_of_their_labels() -> None:
    config = LabelConfig(["Refund", "lost card", "x"], {"refund ": " money back "})
    options = label_set(config, LIMITS).options
    assert options.labels == ("Refund", "lost card", "x")
    assert options.wordings == ("money back", "lost card", "x")


def test_inputs_take_their_own_labels_or_the_configs() -> None:
    config = LabelConfig(AB, {"a": "first", "z": "last"}, multi_label=True)
    shared, own, again = label_sets([(), ["y", "z"], ()], config, LIMITS)
    assert shared.options.wordings == again.options.wordings == ("first", "b")
    assert own.options.wordings == ("y", "last")
    assert own.options.multi_label


def test_the_configs_labels_are_not_needed_where_all_inputs_have_some() -> None:
    assert [one.given for one in label_sets([AB, AB], LabelConfig(), LIMITS)] == [AB, AB]


@pytest.mark.parametrize(
    ("texts", "field", "reason"),
    [
        ([], "inputs", "TEXTS_REQUIRED"),
        (["a"] * 4, "inputs", "TOO_MANY_TEXTS"),
        (["a", ""], "inputs[1].text", "TEXT_EMPTY"),
        (["a", "b", " \n\u3000"], "inputs[2].text", "TEXT_EMPTY"),
        (["x" * 51], "inputs[0].text", "TEXT_TOO_LONG"),
    ],
)
def test_wrong_texts_are_refused_by_name(texts: list[str], field: str, reason: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_texts(texts, LIMITS)
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert not isinstance(caught.value, OutOfRangeError)  # that is for audio


def test_a_text_of_one_megabyte_is_past_the_default() -> None:
    with pytest.raises(InvalidArgumentError, match="1000000 characters, more than 100000"):
        check_texts(["x" * 1_000_000], LabelLimits())
    check_texts(["x" * 100_000] * 1000, LabelLimits())


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"top_k": 0}, "top_k"),
        ({"top_k": -1}, "top_k"),
        *[({"threshold": value}, "threshold") for value in (-0.01, 1.01, math.nan, math.inf, -math.inf)],
    ],
)
def test_a_wrong_cut_is_refused_by_name(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        cut_of(LabelConfig(**asked), "classification_config")
    assert caught.value.field == f"classification_config.{field}"


@pytest.mark.parametrize(("top_k", "threshold"), [(None, None), (1, 0.0), (10_000, 1.0)])
def test_a_cut_is_passed_on(top_k: int | None, threshold: float | None) -> None:
    assert cut_of(LabelConfig(top_k=top_k, threshold=threshold)) == Cut(top_k, threshold)


anything = st.lists(st.text(max_size=5), max_size=6)


@given(anything, st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=3), st.booleans())
def test_labels_pass_whole_or_are_refused(
    labels: list[str], descriptions: dict[str, str], multi_label: bool
) -> None:
    chosen = _passed(LabelConfig(labels, descriptions, multi_label=multi_label))
    if chosen is None:
        return
    assert list(chosen.given) == labels
    assert (
        len(chosen.options.wordings) == len(labels) == len({one.casefold() for one in chosen.options.labels})
    )
    assert all(one and one == one.strip() for one in chosen.options.wordings)


@given(st.text(alphabet="a{} ", max_size=6))
def test_a_template_that_passes_holds_its_label_once(template: str) -> None:
    chosen = _passed(LabelConfig(AB, hypothesis_template=template))
    if chosen is None:
        return
    assert chosen.options.template == template
    if template:
        assert template.format("LABEL").count("LABEL") == 1


def _passed(config: LabelConfig) -> LabelSet | None:
    try:
        return label_set(config, LabelLimits(), "config")
    except InvalidArgumentError:
        return None
