"""What is made of words: labels that are compared, transcripts that are masked, and a codec's name."""

from __future__ import annotations

import itertools
import re
from typing import Final

from earshot import errors
from earshot.classification.labels import LabelConfig, LabelLimits, check_texts, cut_of, label_sets
from earshot.classification.ranking import rank
from earshot.client.options import Encoding
from earshot.client.streaming import transcoding
from earshot.stt.masking.masks import masked
from earshot.stt.types import RecognitionOptions, Redaction, Segment, Transcript, Word

KINDS: Final = (Redaction.NUMBER, Redaction.EMAIL, Redaction.CARD, Redaction.PHONE)
LANGUAGES: Final = ("en", "de", "fr", "es-MX", "da", "ru", "")
_PLACEHOLDER: Final = re.compile(r"\[(NUMBER|EMAIL|CARD|PHONE)\][.,;:!?]*")
_ADDRESS: Final = re.compile(r"\w@\w")


def labels(data: bytes) -> None:
    """Texts, labels, descriptions and a template out of one text, a line each."""
    lines = data.decode("utf-8", errors="replace").split("\n")
    middle = len(lines) // 2
    config = LabelConfig(
        candidate_labels=lines[:middle],
        label_descriptions=dict.fromkeys(lines[middle:], "what it is"),
        hypothesis_template=lines[-1] if "{" in lines[-1] else "",
        multi_label=len(data) % 2 == 0,
        top_k=len(data) % 5 or None,
        threshold=(len(data) % 7) / 4 or None,
    )
    try:
        check_texts(lines, LabelLimits())
        sets = label_sets([(), lines], config, LabelLimits())
        cut = cut_of(config)
    except errors.InvalidArgumentError as error:
        assert error.field
        return
    for made in sets:
        assert len(made.given) == len(made.options.labels)
        assert all(label == label.strip() != "" for label in made.options.labels)
        assert len({label.casefold() for label in made.options.labels}) == len(made.given)
        best = rank(made.given, [len(label) / 1_000 for label in made.given], cut).labels
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)


def masks(data: bytes) -> None:
    """A transcript; its first two bytes say what is to be taken out of it, and its language."""
    head, text = data[:2].ljust(2, b"\0"), data[2:].decode("utf-8", errors="replace")
    options = RecognitionOptions(
        redact=tuple(kind for bit, kind in enumerate(KINDS) if head[0] >> bit & 1),
        profanity_filter=bool(head[0] & 0x10),
        goes_on=bool(head[0] & 0x20),
    )
    heard = transcript(text, LANGUAGES[head[1] % len(LANGUAGES)])
    made = masked(heard, options)
    assert len(made.segments) == len(heard.segments)
    if not options.redact and not options.profanity_filter:
        assert made == heard
    for before, after in zip(heard.segments, made.segments, strict=True):
        if not options.profanity_filter:
            are_among(after.text.split(), before.text.split())
        assert (after.start, after.end) == (before.start, before.end)
        nothing_is_left(after.text.split(), options)
        nothing_is_left([word.text for word in after.words], options)
        in_order(after.words)


def transcript(text: str, language: str) -> Transcript:
    """A segment for each line, with a word a second."""
    segments = []
    for line in text.splitlines():
        words = [Word(word, float(at), at + 1.0) for at, word in enumerate(line.split())]
        segments.append(Segment(line, 0.0, float(len(words)), words=tuple(words)))
    return Transcript(tuple(segments), language)


def nothing_is_left(words: list[str], options: RecognitionOptions) -> None:
    """No word that is an address, or a number of four digits, where these were to be taken out."""
    for word in words:
        if _PLACEHOLDER.fullmatch(word):
            continue
        if Redaction.EMAIL in options.redact:
            assert not _ADDRESS.search(word), word
        if Redaction.NUMBER in options.redact:
            digits = re.sub(r"[^\w]", "", word)
            assert not (digits.isdecimal() and len(digits) >= 4), word


def are_among(kept: list[str], said: list[str]) -> None:
    """What is no placeholder is as it was said, and in that order."""
    rest = iter(said)
    assert all(word in rest for word in kept if not _PLACEHOLDER.fullmatch(word))


def in_order(words: tuple[Word, ...]) -> None:
    """None begins before the one before it has ended."""
    assert all(one.start < one.end for one in words)
    assert all(one.end <= other.start for one, other in itertools.pairwise(words))


def codecs(data: bytes) -> None:
    """The name of a codec, as a caller gives it to the client; its first byte says for a clip or a stream."""
    name = data[1:].decode("utf-8", errors="replace")
    try:
        made = transcoding.codec(name, live=bool(data[:1] and data[0] % 2))
    except errors.InvalidArgumentError as error:
        assert (error.field, error.reason) == ("codec", "NO_SUCH_CODEC")
        return
    assert made.encoding in {Encoding.FLAC, Encoding.OGG_OPUS}
    assert made.bit_rate is None or 6_000 <= made.bit_rate <= 256_000
