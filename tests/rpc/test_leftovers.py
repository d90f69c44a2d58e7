"""Of a call that is over a front process keeps nothing but its bill, and that for a while."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

import pytest

from earshot.quotas import memory
from tests.rpc import test_streaming_classify as streaming_classify
from tests.rpc.conftest import Start
from tests.rpc.live import config, converse, cut, talk
from tests.rpc.paying import clip, spoken, texts

_TIMES = 6
_SETTLED = 0.2  # seconds, until calls that have ended are written down
CHUNKS = cut(talk().tobytes())[:150]  # 15 s, charged several times on their way


async def test_of_calls_that_are_over_nothing_is_kept(
    start_speech: Start, start_texts: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "KNOWN_SECONDS", 0)
    async with streaming_classify.both(start_speech, start_texts) as (speech, service):
        await _calls(speech, service)  # what is made once
        before = await _objects()
        for _ in range(_TIMES):
            await _calls(speech, service)
        after = await _objects()
    more = {kind: count for kind, count in (after - before).items() if count >= _TIMES / 2}
    assert not more


async def _calls(speech: Any, service: Any) -> None:
    """One of each kind."""
    await speech.speech.Recognize(clip())
    await converse(speech, config(), CHUNKS)
    await service.texts.Classify(texts("one", "two"))
    await service.texts.ClassifySpeech(spoken())
    await streaming_classify.converse(
        service, [streaming_classify.first(), *streaming_classify.audio(CHUNKS)]
    )


async def _objects() -> Counter[str]:
    """All of ours that there are, by their type: what libraries keep they throw away when they like."""
    await asyncio.sleep(_SETTLED)
    gc.collect()
    types = [type(one) for one in gc.get_objects()]
    return Counter(one.__qualname__ for one in types if str(one.__module__).startswith("earshot."))
