"""Texts seen before: bounded, unreadable, each client's own."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest

from earshot.classification.seen import SeenLimits, SeenTexts
from earshot.classification.types import ClassificationOptions, ClassificationRequest, ModelInfo
from earshot.runtime import calls
from earshot.runtime.calls import Call
from earshot.runtime.metrics import Metrics

MODEL = ModelInfo("model", "fake", (), (), version="1", checksum="sha256:ab")
OPTIONS = ClassificationOptions(("one", "two"))
SCORES = (0.25, 0.1 + 0.2)  # the latter is not .3
ROOM = SeenLimits(texts=1000, max_bytes=1_000_000, seconds=60.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def client() -> Iterator[Call]:
    """The call that is answered."""
    call = Call(claimed_client="acme")
    token = calls._CURRENT.set(call)
    yield call
    calls._CURRENT.reset(token)


def seen(limits: SeenLimits = ROOM, clock: Clock | None = None) -> SeenTexts:
    return SeenTexts(limits, Metrics("classification"), clock or Clock())


def requests(*texts: str, options: ClassificationOptions = OPTIONS) -> list[ClassificationRequest]:
    return [ClassificationRequest(text, options) for text in texts]


def keep(texts: SeenTexts, *own: str, scores: Sequence[float] = SCORES) -> None:
    texts.keep(dict.fromkeys(texts.names(MODEL, requests(*own)), tuple(scores)))


def known(texts: SeenTexts, *own: str) -> list[bool]:
    names = texts.names(MODEL, requests(*own))
    found = texts.scores(names)
    return [name in found for name in names]


def test_scores_come_back_to_the_last_bit() -> None:
    texts = seen()
    keep(texts, "a", "b")
    names = texts.names(MODEL, requests("a", "b", "c"))
    assert texts.scores(names) == dict.fromkeys(names[:2], SCORES)


def test_the_longest_unasked_goes_first() -> None:
    texts = seen(SeenLimits(texts=3, max_bytes=1_000_000, seconds=60.0))
    keep(texts, "a", "b", "c")
    assert known(texts, "a") == [True]
    keep(texts, "d")
    assert known(texts, "a", "b", "c", "d") == [True, False, True, True]


def test_memory_is_bounded() -> None:
    texts = seen(SeenLimits(texts=1000, max_bytes=20_000, seconds=60.0))
    keep(texts, *map(str, range(20)), scores=(0.5,) * 1000)  # 8 kB each
    assert known(texts, *map(str, range(20))) == [False] * 18 + [True] * 2
    keep(texts, "too large", scores=(0.5,) * 10_000)
    assert known(texts, "too large") == [False]


def test_what_is_not_asked_for_is_forgotten() -> None:
    clock = Clock()
    texts = seen(clock=clock)
    keep(texts, "a", "b")
    clock.now += 40
    assert known(texts, "a") == [True]
    clock.now += 40
    assert known(texts, "a", "b") == [True, False]
    clock.now += 61
    assert known(texts, "a") == [False]
    assert not texts._kept
    assert texts._bytes == 0


def test_what_is_counted_is_what_it_takes() -> None:
    texts = seen(SeenLimits(texts=100_000, max_bytes=100_000_000, seconds=60.0))
    names = texts.names(MODEL, requests(*map(str, range(10_000))))
    tracemalloc.start()
    try:
        texts.keep(dict.fromkeys(map(bytes.fromhex, map(bytes.hex, names)), (0.1, 0.2, 0.3)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.5 * texts._bytes < held < 1.1 * texts._bytes


def test_nothing_of_a_text_can_be_read() -> None:
    texts = seen()
    options = ClassificationOptions(("canary",), ("canary",), "canary {}")
    names = texts.names(MODEL, requests("canary", options=options))
    texts.keep({names[0]: SCORES})
    held = [value for name, value in vars(texts).items() if name in {"_kept", "_key", "_limits"}]
    assert len(held) == 3
    assert b"canary" not in pickle.dumps(held)


def test_each_process_has_a_key_of_its_own() -> None:
    assert seen().names(MODEL, requests("a")) != seen().names(MODEL, requests("a"))


def test_parts_do_not_run_into_each_other(client: Call) -> None:
    """What stands in one cannot be said by another."""
    texts = seen()
    many = [
        ("acme", ("ab", "c"), "x"),
        ("acm", ("ab", "c"), "x"),
        ("acme", ("a", "bc"), "x"),
        ("acme", ("abc", "x"), ""),
        ("acm", ("eab", "c"), "x"),
    ]
    names = set()
    for client.claimed_client, labels, text in many:
        names |= {*texts.names(MODEL, requests(text, options=ClassificationOptions(labels)))}
    assert len(names) == len(many)


def test_another_model_is_another_answer() -> None:
    texts = seen()
    others = [MODEL, ModelInfo("model", "fake", (), (), version="2"), ModelInfo("other", "fake", (), ())]
    assert len({texts.names(model, requests("a"))[0] for model in others}) == len(others)


def test_what_would_take_long_to_look_for_is_not_kept() -> None:
    assert not seen().names(MODEL, requests("x" * 500_000, "x" * 500_001))
