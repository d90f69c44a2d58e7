"""Sizes that both ends of a connection must know."""

from __future__ import annotations

from typing import Final

from earshot import errors

MEBIBYTE: Final = 1024 * 1024

# gRPC itself refuses a longer message with RESOURCE_EXHAUSTED and without a word of advice. The
# service's own limit lies below, so that what is a little too long gets a proper answer.
HEADROOM_BYTES: Final = 16 * MEBIBYTE

LONG_CLIP: Final = "send a compressed encoding (FLAC, Opus) or a shorter clip"


def check_message(size: int, most: int, field: str, advice: str) -> None:
    """Raises ``OutOfRangeError`` for a message of ``size`` bytes where ``most`` are taken.

    ``field`` is the one that makes messages long, ``advice`` what to do about it.
    """
    if size > most:
        raise errors.OutOfRangeError(
            f"the message has {size} bytes and {most} are taken; {advice}",
            reason="MESSAGE_TOO_LARGE",
            field=field,
        )
