"""Names of persons, by a checkpoint for named entity recognition that the operator has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from transformers import pipeline

from earshot.stt.masking.types import Found

KIND: Final = "name"
_PERSON: Final = "PER"  # CoNLL-2003 says PER, OntoNotes PERSON
_TOGETHER: Final = 150  # words that the model sees at once; models take 512 tokens
_AGAIN: Final = 10  # of them that it has seen before: a name at the cut is whole in one of the two


class Names:
    """Lives in an engine's process."""

    def __init__(self, model: str) -> None:
        """``model`` is a folder, as transformers saves it. Raises what transformers does where it is none."""
        self._classify = pipeline(
            "token-classification", model=model, aggregation_strategy="simple", device="cpu"
        )

    def found(self, words: Sequence[str]) -> list[Found]:
        """Where the names are, in order."""
        step = _TOGETHER - _AGAIN
        last = max(len(words) - _AGAIN, 1)
        parts = ((start, words[start : start + _TOGETHER]) for start in range(0, last, step))
        return [one for start, part in parts if part for one in self._in_part(start, part)]

    def _in_part(self, first: int, words: Sequence[str]) -> Iterator[Found]:
        ends = list(accumulate(len(word) + 1 for word in words))  # of each word, with the space after it
        for entity in self._classify(" ".join(words)):
            if entity["entity_group"].upper().startswith(_PERSON):
                start = sum(end <= entity["start"] for end in ends)
                end = sum(end <= entity["end"] - 1 for end in ends) + 1
                yield Found(first + start, first + end, KIND)
