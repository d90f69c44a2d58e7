"""Sizes that both ends of a connection must know."""

from __future__ import annotations

from typing import Final

from earshot import errors

MEBIBYTE: Final = 1024 * 1024

# gRPC itself refuses a longer message with RESOURCE_EXHAUSTED and without a word of advice. The
# service's own limit lies below, so that what is a little too long gets a proper answer.
HEADROOM_BYTES: Final = 16 * MEBIBYTE

DEFAULT_MESSAGE_BYTES: Final = 64 * MEBIBYTE


def check_message(size: int, most: int) -> None:
    """Raises ``OutOfRangeError`` for a message of ``size`` bytes where ``most`` are taken."""
    if size > most:
        raise errors.OutOfRangeError(
            f"the message has {size} bytes, {most} are taken; send a compressed encoding or a shorter clip",
            reason="MESSAGE_TOO_LARGE",
            field="content",
        )
