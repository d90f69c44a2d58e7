"""Profane words, by the dictionaries of glin-profanity; their first letter stays, as with Google Speech."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from glin_profanity import Filter

from earshot.stt.masking.types import bare

_DICTIONARIES: Final = {
    "ar": "arabic", "zh": "chinese", "cs": "czech", "da": "danish", "nl": "dutch", "en": "english",
    "eo": "esperanto", "fi": "finnish", "fr": "french", "de": "german", "hi": "hindi", "hu": "hungarian",
    "it": "italian", "ja": "japanese", "ko": "korean", "no": "norwegian", "fa": "persian", "pl": "polish",
    "pt": "portuguese", "ru": "russian", "es": "spanish", "sv": "swedish", "th": "thai", "tr": "turkish",
}  # fmt: skip
_LETTERS: Final = re.compile(r"(?<=\w)\w")


def filtered(word: str, language: str) -> str:
    """``word``, or where it is profane its first letter and an asterisk for each of the others."""
    return _LETTERS.sub("*", word) if _is_profane(bare(word), language) else word


@lru_cache(maxsize=10_000)
def _is_profane(word: str, language: str) -> bool:
    return bool(word) and bool(_filter(_DICTIONARIES.get(language, "english")).is_profane(word))


@cache
def _filter(dictionary: str) -> Filter:
    return Filter({"languages": [dictionary]})
