"""The two or three plain HTTP requests that the launcher makes on loopback."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Final

from earshot import errors
from earshot.local.ports import LOOPBACK

_SECONDS: Final = 2.0  # for each wait on the socket


async def fetch(port: int, path: str, *, method: str = "GET") -> str:
    """The body of a 200 answer.

    Raises:
        UnavailableError: nobody answered, or the answer was not 200.
    """
    return await asyncio.to_thread(_fetch, port, path, method)


async def answers(port: int, path: str) -> bool:
    """Whether somebody answers there, with 200."""
    with suppress(errors.UnavailableError):
        await fetch(port, path)
        return True
    return False


def _fetch(port: int, path: str, method: str) -> str:
    connection = HTTPConnection(LOOPBACK, port, timeout=_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, HTTPException) as exc:
        raise errors.UnavailableError(f"no answer from {LOOPBACK}:{port}{path}: {exc}") from exc
    finally:
        connection.close()
    if answer.status != 200:
        raise errors.UnavailableError(f"{LOOPBACK}:{port}{path} answered {answer.status}")
    return body
