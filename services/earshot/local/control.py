"""How other commands reach a running stack: a socket in its state folder, a line of JSON each way.

A request is ``{"command": name, "arguments": {...}}``, its answer ``{"result": ...}`` or
``{"error": message, "kind": class}``, with the classes of :mod:`earshot.errors`.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from earshot import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from earshot.local.state import StateFolder

Handler: TypeAlias = "Callable[..., Awaitable[Any]]"  # takes a request's arguments, gives JSON


@asynccontextmanager
async def serving(state: StateFolder, handlers: Mapping[str, Handler]) -> AsyncIterator[None]:
    """Answers commands by ``handlers`` while the context lasts; what still runs then is cancelled."""
    running: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        running.add(task)
        try:
            await _answer(reader, writer, handlers)
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_unix_server(answer, str(state.socket))
    try:
        yield
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def call(state: StateFolder, command: str, **arguments: object) -> Any:  # noqa: ANN401 - it is JSON
    """What the running stack answers.

    Raises:
        UnavailableError: no stack runs there, or it ended before it answered.
        EarshotError: the stack's own, of the class that it raised.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(state.socket))
    except OSError as exc:
        raise errors.UnavailableError(_absence(state)) from exc
    try:
        writer.write(_line({"command": command, "arguments": arguments}))
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise errors.UnavailableError(f"the stack ended before it had answered `{command}`")
    return _result(json.loads(answer))


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]
) -> None:
    line = await reader.readline()
    if not line:
        return
    try:
        request = json.loads(line)
        result = await handlers[request["command"]](**request["arguments"])
        writer.write(_line({"result": result}))
    except errors.EarshotError as exc:
        writer.write(_line({"error": exc.message, "kind": type(exc).__name__}))
    except (ValueError, KeyError, TypeError) as exc:
        message = f"not a command of this version of earshot: {exc!r}"
        writer.write(_line({"error": message, "kind": errors.UnimplementedError.__name__}))
    with suppress(ConnectionError):  # nobody waits for it any more
        await writer.drain()


def _result(answer: dict[str, Any]) -> Any:  # noqa: ANN401 - it is JSON
    if "error" not in answer:
        return answer["result"]
    kind: type[errors.EarshotError] = getattr(errors, answer["kind"], errors.InternalError)
    raise kind(answer["error"])


def _absence(state: StateFolder) -> str:
    if state.holder() is not None:
        return f"a stack is just starting or stopping in {state.root}: try again"
    left = " (the last one ended without cleaning up)" if state.socket.exists() else ""
    return f"no stack runs here{left}: `earshot up` starts one; state folder {state.root}"


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"
