"""Shared memory without a name is seen in who holds it."""

from __future__ import annotations

import os

from earshot.runtime.blobs import Blob
from tests.drills import watch
from tests.drills.watch import AUDIO, Segment


def _held() -> dict[Segment, int]:
    return {one: size for one, size in watch._segments(os.getpid()).items() if one.name == AUDIO}


def test_audio_is_seen_by_its_descriptor_then_by_its_mapping_and_then_no_more() -> None:
    before = _held().keys()
    with Blob.of(bytes(100_000)) as blob:
        opened = {one: size for one, size in _held().items() if one not in before}
        view = blob.view()
    mapped = {one: size for one, size in _held().items() if one not in before}
    del view

    assert list(opened.values()) == [102_400]  # whole pages
    assert mapped == opened
    assert _held().keys() == before


def test_numbers_of_this_process_are_what_the_kernel_says() -> None:
    look = watch._look(os.getpid(), 0.0)
    with Blob.empty():
        more = watch._look(os.getpid(), 0.0)

    assert look.memory > 1
    assert look.threads >= 1
    assert more.descriptors == look.descriptors + 1
