"""Texts seen before, over the wire: the engine never has the same score for two, so who gets one again
had it kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import classification_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc import clips
from tests.rpc.conftest import Running, Start
from tests.rpc.test_figures import Figures, counted, figures, value

LABELS = ["one", "two"]
KEPT = {"seen_texts": 100}
MINE = (("x-earshot-client", "acme"),)
SCORES = list[float]


def request(*texts: str, **config: Any) -> classification_pb2.ClassifyRequest:
    return classification_pb2.ClassifyRequest(
        inputs=[{"text": text} for text in texts], config={"candidate_labels": LABELS} | config
    )


async def ask(
    service: Running, asked: classification_pb2.ClassifyRequest, who: Sequence[tuple[str, str]] = MINE
) -> classification_pb2.ClassifyResponse:
    answer: classification_pb2.ClassifyResponse = await service.texts.Classify(asked, metadata=who)
    return answer


def best(answer: classification_pb2.ClassifyResponse) -> SCORES:
    return [result.labels[0].score for result in answer.results]


def of_texts(found: Figures, name: str, **labels: str) -> float:
    return value(found, name, component="classification", **labels)


async def test_what_was_seen_is_not_scored_again(start_texts: Start) -> None:
    async with start_texts("counting", **KEPT) as service:
        first = await ask(service, request("a text"))
        again = await ask(service, request("a text"))
        found = await figures(service, counted(2))
    assert best(again) == best(first)
    assert again.metadata.latency.inference.ToNanoseconds() == 0
    assert again.metadata.selection == first.metadata.selection
    assert of_texts(found, "earshot_seen_texts_total", outcome="hit") == 1
    assert of_texts(found, "earshot_seen_texts_total", outcome="miss") == 1
    assert of_texts(found, "earshot_seen_bytes") > 0
    assert of_texts(found, "earshot_characters_total", client="other") == 2 * len("a text")


async def test_of_a_request_only_what_is_new_is_scored(start_texts: Start) -> None:
    async with start_texts("counting", **KEPT) as service:
        (known,) = best(await ask(service, request("known")))
        mixed = best(await ask(service, request("new", "known", "new", "other")))
    assert mixed[1] == known
    assert mixed[0] == mixed[2]
    assert len({*mixed}) == 3


async def test_how_much_of_the_answer_is_wanted_makes_no_difference(start_texts: Start) -> None:
    async with start_texts("counting", **KEPT) as service:
        whole = await ask(service, request("a text"))
        top = await ask(service, request("a text", top_k=1, threshold=0.0))
    assert best(top) == best(whole)
    assert [len(answer.results[0].labels) for answer in (whole, top)] == [2, 1]


OTHERS = {
    "another client": (request("a text"), (("x-earshot-client", "acm"),)),
    "nobody": (request("a text"), ()),
    "an empty name": (request("a text"), (("x-earshot-client", ""),)),
    "another text": (request("a text "), MINE),
    "another case": (request("A text"), MINE),
    "another order": (request("a text", candidate_labels=LABELS[::-1]), MINE),
    "more labels": (request("a text", candidate_labels=[*LABELS, "three"]), MINE),
    "labels in other words": (request("a text", label_descriptions={"one": "1"}), MINE),
    "by themselves": (request("a text", multi_label=True), MINE),
}


@pytest.mark.parametrize("name", OTHERS)
async def test_who_or_what_differs_is_new(name: str, start_texts: Start) -> None:
    other, who = OTHERS[name]
    async with start_texts("counting", **KEPT) as service:
        first = await ask(service, request("a text"))
        assert best(await ask(service, other, who)) != best(first)
        assert best(await ask(service, request("a text"))) == best(first)


@pytest.mark.parametrize(
    ("settings", "who"),
    [({}, MINE), (KEPT, ()), (KEPT, (("x-earshot-client", "n" * 128),))],
    ids=["off", "nobody", "a name that may have been cut"],
)
async def test_nothing_is_kept(
    settings: dict[str, int], who: Sequence[tuple[str, str]], start_texts: Start
) -> None:
    async with start_texts("counting", **settings) as service:
        first = await ask(service, request("a text"), who)
        assert best(await ask(service, request("a text"), who)) != best(first)
        found = await figures(service, counted(2))
    assert of_texts(found, "earshot_seen_bytes") == 0
    assert of_texts(found, "earshot_seen_texts_total", outcome="miss") == 0


async def test_what_failed_is_not_kept(start_texts: Start) -> None:
    async with start_texts("crash", **KEPT) as service:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(service, request("canary"))
            assert caught.value.code() is grpc.StatusCode.INTERNAL
        found = await figures(service, counted(2))
    assert of_texts(found, "earshot_seen_bytes") == 0
    assert of_texts(found, "earshot_seen_texts_total", outcome="hit") == 0


async def test_speech_that_says_the_same_is_not_scored_again(start_speech: Start, start_texts: Start) -> None:
    spoken = classification_pb2.ClassifySpeechRequest(
        content=clips.wav(0.5), classification_config={"candidate_labels": LABELS}
    )
    async with (
        start_speech() as hearing,
        start_texts("counting", speech_target=f"127.0.0.1:{hearing.port}", **KEPT) as service,
    ):
        first, again = [await service.texts.ClassifySpeech(spoken, metadata=MINE) for _ in range(2)]
        written = await ask(service, request(first.transcript))
    assert again.classification == first.classification == written.results[0]


async def test_it_costs_what_it_cost(start_texts: Start) -> None:
    quota = {"acme": {"characters_per_month": 2 * len("a text")}}
    async with start_texts("counting", quotas=quota, **KEPT) as service:
        for _ in range(2):
            answer = await ask(service, request("a text"))
            assert answer.metadata.billed_characters == len("a text")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(service, request("a text"))
    assert isinstance(from_rpc_error(caught.value), errors.QuotaExceededError)
