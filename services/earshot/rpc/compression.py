"""Messages compressed one by one, both ways, where the caller asks for it: texts and scores, never audio.

gRPC takes compressed requests as they come, but a servicer cannot see that one was: the caller says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

HEADER: Final = "x-earshot-compress"
WANTED: Final[Mapping[str, str]] = {HEADER: "gzip"}  # metadata of a call


def compression_of(metadata: Mapping[str, str] | None) -> grpc.Compression | None:
    """How a request with that metadata goes itself."""
    return grpc.Compression.Gzip if metadata and HEADER in metadata else None


def is_wanted(metadata: Mapping[str, str | bytes]) -> bool:
    """Whether a caller with that metadata wants the response compressed."""
    return metadata.get(HEADER) == WANTED[HEADER]


async def compress_answer(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Compresses the response; called when nothing can fail any more.

    The library heeds it only where the headers leave by themselves, after which no proxy tries again.
    """
    context.set_compression(grpc.Compression.Gzip)
    await context.send_initial_metadata(())
