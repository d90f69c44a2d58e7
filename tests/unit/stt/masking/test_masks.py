"""What is taken out of transcripts, and that nothing else is."""

from __future__ import annotations

import pytest

from earshot.stt.masking.masks import masked
from earshot.stt.types import RecognitionOptions, Redaction, Segment, Transcript, Word

ALL = tuple(Redaction)


def said(text: str, *kinds: Redaction, language: str = "en", **options: bool) -> str:
    segments = tuple(Segment(part.strip(), 0.0, 1.0) for part in text.split("|"))
    wanted = RecognitionOptions(redact=kinds, **options)  # type: ignore[arg-type]
    return " | ".join(one.text for one in masked(Transcript(segments, language), wanted).segments)


NUMBERS = [
    ("my number is four one one two", "my number is [NUMBER]"),
    ("my number is four one one", "my number is four one one"),
    ("it is oh four four one okay", "it is [NUMBER] okay"),
    ("dial double five oh three now", "dial [NUMBER] now"),
    ("in twenty twenty six we met", "in [NUMBER] we met"),
    ("four thousand one hundred and eleven cars", "[NUMBER] cars"),
    ("one hundred and twenty three cars", "one hundred and twenty three cars"),
    ("Four, one, one, two.", "[NUMBER]."),
    ("code 41 12, please", "code [NUMBER], please"),
    ("it costs $4,000.00", "it costs [NUMBER]"),
    ("five five five dash one two", "[NUMBER]"),
    ("the first of the twenty second", "the first of the twenty second"),
    ("I have two dogs and one cat", "I have two dogs and one cat"),
    ("one oh one dalmatians oh no", "one oh one dalmatians oh no"),
    ("4112 | 5223", "[NUMBER] | [NUMBER]"),
    ("it is four one | one two over", "it is [NUMBER] | [NUMBER] over"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), NUMBERS)
def test_numbers_of_four_digits_or_more(text: str, expected: str) -> None:
    assert said(text, Redaction.NUMBER) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "die Nummer ist vier eins eins zwei danke", "die Nummer ist [NUMBER] danke"),
        ("fr", "le code est quatre un un deux merci", "le code est [NUMBER] merci"),
        ("es-MX", "el código es cuatro uno uno dos gracias", "el código es [NUMBER] gracias"),
        ("ru", "мой номер 4112 спасибо", "мой номер [NUMBER] спасибо"),
    ],
)
def test_numbers_in_other_languages(language: str, text: str, expected: str) -> None:
    assert said(text, Redaction.NUMBER, language=language) == expected


CARD = "four one one one one one one one one one one one one one one one"
CARDS = [
    (f"it is {CARD} thanks", "it is [CARD] thanks"),
    (f"it is {CARD} twelve twenty six", "it is [CARD]"),
    ("4111 1111 1111 1111", "[CARD]"),
    ("4111-1111-1111-1111.", "[CARD]."),
    ("7887 6232 8601 2904 is none", "7887 6232 8601 2904 is none"),
    ("four one one one and no more", "four one one one and no more"),
    ("five five double four triple three one one one one triple four two", None),
]


@pytest.mark.parametrize(("text", "expected"), CARDS)
def test_cards_by_their_check_digit(text: str, expected: str | None) -> None:
    assert said(text, Redaction.CARD) == (expected or text)


EMAILS = [
    ("write to john dot smith at gmail dot com please", "write to [EMAIL] please"),
    ("my email is j o h n at g mail dot com", "my email is [EMAIL]"),
    ("it's mary underscore jones at mail dot example dot co dot uk thanks", "it's [EMAIL] thanks"),
    ("it is john.smith@gmail.com.", "it is [EMAIL]."),
    ("it is john.smith at gmail.com, ok", "it is [EMAIL], ok"),
    ("send it to john smith at example dot org", "send it to [EMAIL]"),
    ("meet me at the station", "meet me at the station"),
    ("look at the dot", "look at the dot"),
]


@pytest.mark.parametrize(("text", "expected"), EMAILS)
def test_email_addresses_written_and_spoken(text: str, expected: str) -> None:
    assert said(text, Redaction.EMAIL) == expected


PHONES = [
    ("call five five five one two three four", "call [PHONE]"),
    ("call plus four four twenty seven nine four six oh nine five eight", "call plus [PHONE]"),
    ("call (212) 555-0123 today", "call [PHONE] today"),
    ("four one one two is short", "four one one two is short"),
]


@pytest.mark.parametrize(("text", "expected"), PHONES)
def test_phone_numbers(text: str, expected: str) -> None:
    assert said(text, Redaction.PHONE) == expected


def test_the_most_telling_kind_is_named() -> None:
    text = f"{CARD} and five five five one two three four and four one one two and a@b.org"
    assert said(text, *ALL) == "[CARD] and [PHONE] and [NUMBER] and [EMAIL]"


def test_what_only_a_part_of_is_something_else_goes_too() -> None:
    text = "1111 2222 3333 4444 5555 at gmail.com"
    assert said(text, Redaction.NUMBER, Redaction.EMAIL) == "[NUMBER] [EMAIL]"


@pytest.mark.parametrize("kind", [Redaction.NUMBER, Redaction.CARD, Redaction.PHONE])
def test_in_a_stream_a_number_may_go_on_in_the_next_stretch(kind: Redaction) -> None:
    name = f"[{kind.upper()}]"
    for text, expected in (
        ("it is four one one one", f"it is {name}"),
        ("it is four one one", f"it is {name}"),
        ("two two three is the rest", f"{name} is the rest"),
        ("well four one one okay", "well four one one okay"),
        ("I have two", "I have two"),
    ):
        assert said(text, kind, goes_on=True) == expected


def test_words_keep_their_times() -> None:
    texts = ["call", "four", "one", "one", "two,", "now"]
    words = tuple(Word(text, float(at), at + 1.0, 0.9 - at / 10) for at, text in enumerate(texts))
    segment = Segment(" ".join(texts), 0.0, 6.0, words=words)
    transcript = masked(Transcript((segment,), "en"), RecognitionOptions(redact=(Redaction.NUMBER,)))
    (one,) = transcript.segments
    assert one.text == "call [NUMBER], now"
    assert [(word.text, word.start, word.end) for word in one.words] == [
        ("call", 0.0, 1.0),
        ("[NUMBER],", 1.0, 5.0),
        ("now", 5.0, 6.0),
    ]
    assert one.words[1].confidence == pytest.approx(0.5)


PROFANE = [
    ("en", "well shit, that is fucking class", "well s***, that is f****** class"),
    ("en", "Bullshit!", "B*******!"),
    ("en", "my assistant passed the class in Scunthorpe", None),
    ("de", "so eine scheiße aber auch", "so eine s****** aber auch"),
    ("xx", "well shit", "well s***"),
]


@pytest.mark.parametrize(("language", "text", "expected"), PROFANE)
def test_profane_words_keep_their_first_letter(language: str, text: str, expected: str | None) -> None:
    assert said(text, language=language, profanity_filter=True) == (expected or text)


def test_nothing_is_looked_for_that_is_not_asked_for() -> None:
    text = f"shit {CARD} a@b.org"
    assert said(text) == text
