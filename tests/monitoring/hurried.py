"""Rules in a hurry: time passes faster in them, and nothing else about them is changed.

An alert that waits for minutes takes a test as long. Here each range of a query and each time for which an
alert must hold is shorter by the same factor; every threshold, selector and operator stays as it is.
"""

from __future__ import annotations

import re
from typing import Any

FACTOR = 20
LEAST = 10  # seconds of a range: what a scrape each second can tell
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RANGE = re.compile(r"\[(\d+[smhd])(:\d+[smhd])?\]")


def hurried(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules in shorter time."""
    groups = [group | {"rules": [_rule(rule) for rule in group["rules"]]} for group in rules["groups"]]
    return {"groups": groups}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    changed = {"expr": _RANGE.sub(_range, rule["expr"])}
    if "for" in rule:
        changed["for"] = f"{-(-_seconds(rule['for']) // FACTOR)}s"
    return rule | changed


def _range(found: re.Match[str]) -> str:
    seconds = max(LEAST, _seconds(found[1]) // FACTOR)
    return f"[{seconds}s:1s]" if found[2] else f"[{seconds}s]"


def _seconds(text: str) -> int:
    return int(text[:-1]) * _SECONDS[text[-1]]


def timeless(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """What of the rules is not time."""
    return [
        rule | {"expr": _RANGE.sub("[]", rule["expr"]), "for": ""}
        for group in rules["groups"]
        for rule in group["rules"]
    ]
