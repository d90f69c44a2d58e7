"""Tokens of scored streams: whatever is in them comes back, to the stream that they are of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot import errors
from earshot.classification import position
from earshot.classification.position import Position
from earshot.gen.v1 import audio_pb2, classification_pb2
from earshot.runtime.seals import KeyRing, Seals

Config = classification_pb2.StreamingClassifySpeechConfig
SEALS = Seals(KeyRing(None), "test", Position, 60.0, position.TOKEN_FIELD)
ENGLISH = audio_pb2.RecognitionConfig(language_code="en")

labels = st.lists(st.text(max_size=8), max_size=4)
positions = st.builds(
    Position,
    config=st.just(position.digest(Config(recognition_config=ENGLISH))),
    heard=st.text(max_size=100),
    conversation=st.text(max_size=100),
    stream=st.text(max_size=16),
    characters=st.integers(0, 2**62),
)


def _config(where: Position, own: list[str], recognition: audio_pb2.RecognitionConfig = ENGLISH) -> Config:
    return Config(
        recognition_config=recognition,
        classification_config=classification_pb2.ClassificationConfig(candidate_labels=own),
        resume_token=SEALS.seal(where),
    )


@given(positions, labels)
def test_a_stream_goes_on_where_it_stood_whatever_its_labels_are_now(where: Position, own: list[str]) -> None:
    assert position.opened(_config(where, own), SEALS) == where


@given(positions, st.text(min_size=1, max_size=8).filter(lambda code: code != "en"))
def test_not_with_another_config(where: Position, code: str) -> None:
    other = audio_pb2.RecognitionConfig(language_code=code)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        position.opened(_config(where, [], other), SEALS)
    assert (caught.value.reason, caught.value.field) == ("RESUME_TOKEN_OTHER_CONFIG", position.TOKEN_FIELD)


@given(positions)
def test_a_new_stream_is_at_its_beginning(where: Position) -> None:
    config = _config(where, [])
    config.resume_token = ""
    begun, other = (position.opened(config, SEALS) for _ in range(2))
    assert (begun.heard, begun.conversation, begun.characters) == ("", "", 0)
    assert begun.config == where.config
    assert begun.stream != other.stream
