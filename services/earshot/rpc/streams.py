"""What the streaming methods of both services ask of their messages: the config, first and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from earshot import errors


async def first_config(messages: AsyncIterator[Any], patience: float) -> Any:  # noqa: ANN401 - of either service
    """The ``streaming_config`` of the first message; ``patience`` in seconds.

    Raises ``InvalidArgumentError`` where another comes first, ``DeadlineExceededError`` where none does.
    """
    try:
        async with asyncio.timeout(patience):
            message = await anext(messages, None)
    except TimeoutError:
        raise errors.DeadlineExceededError("no config came", reason="STREAM_IDLE") from None
    if message is not None and message.WhichOneof("streaming_request") == "streaming_config":
        return message.streaming_config
    raise errors.InvalidArgumentError(
        "the first message of a stream must have the streaming_config, and only those after it audio",
        reason="CONFIG_MISSING",
        field="streaming_config",
    )


def misplaced(kind: str | None, advice: str) -> errors.InvalidArgumentError:
    """The error of a later message that is the config again (``advice`` says what to do), or empty."""
    if kind == "streaming_config":
        return errors.InvalidArgumentError(
            f"the config came twice: it comes first, once; {advice}",
            reason="CONFIG_TWICE",
            field="streaming_config",
        )
    return errors.InvalidArgumentError(
        "a message without audio: a chunk without content keeps a stream alive",
        reason="AUDIO_MISSING",
        field="audio",
    )
