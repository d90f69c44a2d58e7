"""Runs one kind of call over many inputs: several at a time, results in the inputs' order."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import typer

from earshot import errors
from earshot.cli import output, progress
from earshot.cli.errors import ExitCode, code_of_all, describe, reaching, say
from earshot.cli.proofs import client_options

if TYPE_CHECKING:
    from earshot.client import AsyncClient

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")

# What would befall every other input too: the run stops.
_HOPELESS: Final = (errors.UnavailableError, errors.UnauthenticatedError, errors.PermissionDeniedError)


@dataclass(frozen=True, slots=True)
class Job(Generic[InputT, ResultT]):
    """What is done to each input, and how it is named and printed."""

    call: Callable[[AsyncClient, InputT], Awaitable[ResultT]]
    record: Callable[[InputT, ResultT], output.Record]
    name: Callable[[InputT], str]


@dataclass(frozen=True, slots=True)
class Service:
    """Where the calls go."""

    target: str
    timeout: float  # seconds
    concurrency: int


def run(job: Job[InputT, ResultT], inputs: Sequence[InputT], service: Service, sink: output.Sink) -> None:
    """Makes all calls and prints all results; ends with the exit code that tells how they went.

    An input that fails is named on standard error and stops no other. Raises at once what would
    befall every input: the service cannot be reached, or will not have the caller.
    """
    try:
        with reaching(service.target):
            failures = asyncio.run(_run(job, inputs, service, sink))
    finally:
        sink.finish()
    code = code_of_all(failures, len(inputs))
    if code is not ExitCode.OK:
        raise typer.Exit(code)


async def _run(
    job: Job[InputT, ResultT], inputs: Sequence[InputT], service: Service, sink: output.Sink
) -> list[errors.EarshotError]:
    from earshot.client import AsyncClient

    options = client_options()
    gate = asyncio.Semaphore(service.concurrency)
    async with AsyncClient(service.target, timeout=service.timeout, **options) as client:
        calls = [asyncio.create_task(_outcome(gate, partial(job.call, client, item))) for item in inputs]
        try:
            return await _print_in_order(job, inputs, calls, sink)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


async def _outcome(
    gate: asyncio.Semaphore, call: Callable[[], Awaitable[ResultT]]
) -> ResultT | errors.EarshotError:
    async with gate:
        try:
            return await call()
        except _HOPELESS:
            raise
        except errors.EarshotError as error:
            return error


async def _print_in_order(
    job: Job[InputT, ResultT],
    inputs: Sequence[InputT],
    calls: Sequence[asyncio.Task[ResultT | errors.EarshotError]],
    sink: output.Sink,
) -> list[errors.EarshotError]:
    failures = []
    # A bar and lines on one terminal would write over each other.
    shown = not (isinstance(sink, output.LineSink) and sys.stdout.isatty())
    with progress.bar("", len(inputs) if len(inputs) > 1 else None, shown=shown) as advance:
        for done, (item, call) in enumerate(zip(inputs, calls, strict=True)):
            advance(done)
            outcome = await call
            if isinstance(outcome, errors.EarshotError):
                failures.append(outcome)
                sink.add(_failed(job.name(item), outcome))
            else:
                sink.add(job.record(item, outcome))
    return failures


def _failed(name: str, error: errors.EarshotError) -> output.Record:
    say(f"{name}: {describe(error)}" if name.strip() else describe(error))
    details = {"reason": error.reason, "field": error.field, "message": error.message}
    return output.Record({"input": name, "error": details})
