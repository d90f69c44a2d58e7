"""What of the words is personal, by kind. Rather a word too many than one too few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import phonenumbers

from earshot.stt.masking.numbers import Run, runs
from earshot.stt.masking.types import Context, Found, bare
from earshot.stt.types import Redaction

_NUMBER_DIGITS: Final = 4
_EDGE_DIGITS: Final = 3  # at the edge of a stretch that is one of several: the rest is in the next
_CARD_DIGITS: Final = range(13, 20)  # ISO/IEC 7812
_PHONE_DIGITS: Final = range(7, 16)  # ITU-T E.164, and local ones
# Where a language's numbers may be written as at home: its most speakers, by ISO 3166.
_REGIONS: Final = {
    "ca": ("ES",), "da": ("DK",), "de": ("DE", "AT", "CH"), "en": ("US", "GB", "AU", "IN"),
    "es": ("ES", "MX"), "fr": ("FR", "CA"), "it": ("IT",), "nl": ("NL", "BE"), "pt": ("BR", "PT"),
}  # fmt: skip
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+")
_DOMAIN: Final = re.compile(r"[\w-]+(\.[\w-]+)*\.[a-z]{2,}")
_JOINS: Final = frozenset({"dot", "period", "point", "underscore", "dash", "hyphen", "minus", "plus"})
# What comes before an address and is none of it.
_BEFORE: Final = frozenset(
    {"address", "an", "and", "at", "contact", "email", "for", "is", "it's", "its", "mail", "me", "my", "or",
     "reach", "send", "that's", "the", "to", "us", "use", "via", "write", "your"}
)  # fmt: skip
_NAME_WORDS: Final = 3  # of the part before the at, beyond those that are joined
_DOMAIN_WORDS: Final = 4  # before its first dot: "at g mail dot com"


def found(words: Sequence[str], kinds: Iterable[Redaction], context: Context) -> list[Found]:
    """All that is of one of ``kinds``, in order and not overlapping: what is listed first goes before."""
    wanted = frozenset(kinds)
    numbers = runs(words, context) if wanted & _OF_NUMBERS.keys() else []
    all_found: list[Found] = _emails(words) if Redaction.EMAIL in wanted else []
    for kind, is_one in _OF_NUMBERS.items():
        if kind in wanted:
            hits = [run for run in numbers if is_one(run, context, len(words))]
            all_found += [Found(run.start, run.end, kind.value) for run in hits]
    if Redaction.NAME in wanted and context.names:
        all_found += context.names.found(words)
    return _disjoint(all_found)


def _disjoint(all_found: Iterable[Found]) -> list[Found]:
    """What has been found as something else in part is taken out as far as it goes beyond that."""
    kept: list[Found] = []
    for one in all_found:
        kept += _rest(one, kept)
    return sorted(kept, key=lambda one: one.start)


def _rest(one: Found, kept: Iterable[Found]) -> list[Found]:
    """The stretches of ``one`` that none of ``kept`` has."""
    taken = {at for other in kept for at in range(other.start, other.end)}
    free = [at for at in range(one.start, one.end) if at not in taken]
    starts = [at for at in free if at - 1 not in free]
    ends = [at + 1 for at in free if at + 1 not in free]
    return [Found(start, end, one.kind) for start, end in zip(starts, ends, strict=True)]


def _is_card(run: Run, context: Context, words: int) -> bool:
    digits = run.digits
    windows = (
        digits[start : start + size] for size in _CARD_DIGITS for start in range(len(digits) - size + 1)
    )
    return any(_luhn(window) for window in windows) or _may_go_on(run, context, words)


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _is_phone(run: Run, context: Context, words: int) -> bool:
    if len(run.digits) not in _PHONE_DIGITS:
        return _may_go_on(run, context, words)
    if run.plus:
        return True
    regions = _REGIONS.get(context.language, ())
    return any(_is_possible(run.digits, region) for region in regions) or _may_go_on(run, context, words)


def _is_possible(digits: str, region: str) -> bool:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return False
    reason = phonenumbers.is_possible_number_with_reason(number)
    return reason in (
        phonenumbers.ValidationResult.IS_POSSIBLE,
        phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,
    )


def _is_number(run: Run, context: Context, words: int) -> bool:
    return len(run.digits) >= _NUMBER_DIGITS or _may_go_on(run, context, words)


def _may_go_on(run: Run, context: Context, words: int) -> bool:
    """Cards and phone numbers are spoken in groups with pauses, each of which may be a stretch of its own."""
    if not context.goes_on:
        return False
    return len(run.digits) >= (_EDGE_DIGITS if run.at_edge(words) else _NUMBER_DIGITS)


_OF_NUMBERS: Final[dict[Redaction, Callable[[Run, Context, int], bool]]] = {
    Redaction.CARD: _is_card,
    Redaction.PHONE: _is_phone,
    Redaction.NUMBER: _is_number,
}


def _emails(words: Sequence[str]) -> list[Found]:
    said = [bare(word) for word in words]
    written = [
        Found(at, at + 1, Redaction.EMAIL.value) for at, word in enumerate(said) if _ADDRESS.search(word)
    ]
    spoken = [
        Found(_local_start(said, at), end, Redaction.EMAIL.value)
        for at, word in enumerate(said)
        if word == "at" and at > 0 and (end := _domain_end(said, at + 1))
    ]
    return written + spoken


def _domain_end(said: Sequence[str], start: int) -> int:
    """Where the domain ends that begins at ``start``; 0 where none does."""
    end = next(
        (at for at in range(start, min(start + _DOMAIN_WORDS, len(said))) if _DOMAIN.fullmatch(said[at])),
        None,
    )
    if end is not None:
        return end + 1
    dots = [at for at in range(start + 1, min(start + _DOMAIN_WORDS + 1, len(said) - 1)) if said[at] == "dot"]
    if not dots:
        return 0
    position = dots[0]
    while position + 1 < len(said) and said[position] == "dot":
        position += 2
    return position


def _local_start(said: Sequence[str], at: int) -> int:
    """Where the part before the ``at`` begins: joined words, letters, or a name of a few words."""
    start, free = at - 1, _NAME_WORDS
    while start > 0:
        before = said[start - 1]
        if before in _JOINS and start > 1:
            start -= 2
        elif len(said[start]) == 1 and len(before) == 1:
            start -= 1
        elif free > 0 and before not in _BEFORE and said[start] not in _BEFORE:
            start, free = start - 1, free - 1
        else:
            break
    return start
