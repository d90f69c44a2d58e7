"""Whatever is said: nothing is left of what was to be taken out, and the rest stays as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.words import LANGUAGES, masks

SAID = (
    *("four", "one", "oh", "double", "triple", "twenty", "hundred", "plus", "dash", "point", "dot", "at"),
    *(
        "4112",
        "41",
        "12,",
        "(212)",
        "555-0123",
        "+49",
        "4111-1111-1111-1111.",
        "a@b.org",
        "gmail.com",
        "mail",
    ),
    *("john", "smith", "my", "is", "the", "damn", "shit,", "vier", "quatre", "\u0664\u0665\u0666\u0667"),
)
words = st.one_of(st.sampled_from(SAID), st.sampled_from(SAID), st.text(max_size=6))
texts = st.lists(st.lists(words, max_size=12).map(" ".join), max_size=4).map("\n".join)


@given(st.integers(0, 63), st.integers(0, len(LANGUAGES) - 1), texts)
@settings(max_examples=300, deadline=None)
def test_nothing_is_left(options: int, language: int, text: str) -> None:
    masks(bytes([options, language]) + text.encode())
