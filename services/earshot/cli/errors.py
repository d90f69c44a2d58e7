"""Where errors end: one clear line on standard error, and an exit code that means something."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import typer

from earshot import errors


class ExitCode(IntEnum):
    """What the command's exit code says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    LIMITED = 5
    INTERRUPTED = 130


EPILOG: Final = (
    "Exit codes: 0 all done; 1 the work failed, or failed for some of the inputs; 2 wrong usage; "
    "3 the service cannot be reached or did not answer in time; 4 refused as invalid or not allowed; "
    "5 over a limit or quota; 130 interrupted."
)

# What a sub-command may raise without it being a fault in the command.
EXPECTED: Final = (errors.EarshotError, ModuleNotFoundError)

# The first class that matches counts.
_CODES: Final[tuple[tuple[type[errors.EarshotError], ExitCode], ...]] = (
    (errors.UnavailableError, ExitCode.UNAVAILABLE),
    (errors.DeadlineExceededError, ExitCode.UNAVAILABLE),
    (errors.ResourceExhaustedError, ExitCode.LIMITED),
    (errors.OutOfRangeError, ExitCode.LIMITED),
    (errors.InvalidArgumentError, ExitCode.REFUSED),
    (errors.UnauthenticatedError, ExitCode.REFUSED),
    (errors.PermissionDeniedError, ExitCode.REFUSED),
    (errors.NotFoundError, ExitCode.REFUSED),
    (errors.UnimplementedError, ExitCode.REFUSED),
)


def report(error: Exception, extra: str = "") -> ExitCode:
    """Prints the error as one line and says how to exit; raises what is a fault of ours again.

    ``extra`` is the extra of the package without which a library may be missing.
    """
    if isinstance(error, ModuleNotFoundError):
        return _missing_library(error, extra)
    if not isinstance(error, errors.EarshotError):
        raise error
    say(describe(error))
    return code_of(error)


def code_of(error: errors.EarshotError) -> ExitCode:
    """The exit code that stands for ``error``."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def code_of_all(failures: Collection[errors.EarshotError], inputs: int) -> ExitCode:
    """The exit code of a run over several inputs.

    Where all failed for one cause it is that cause's code; where some worked, ``FAILED``.
    """
    if not failures:
        return ExitCode.OK
    codes = {code_of(failure) for failure in failures}
    return codes.pop() if len(failures) == inputs and len(codes) == 1 else ExitCode.FAILED


def describe(error: errors.EarshotError) -> str:
    """The error in one line: where, what, and when to come back."""
    message = " ".join(error.message.split())
    # The content is the input, whose name the reader has.
    place = f"{error.field}: " if error.field not in {"", "content"} and error.field not in message else ""
    wait = getattr(error, "retry_after", 0.0)
    return f"{place}{message}" + (f" (try again in {wait:.1f} s)" if wait else "")


@contextmanager
def reaching(target: str) -> Iterator[None]:
    """Names the service, and what to do, where it cannot be reached."""
    try:
        yield
    except errors.UnavailableError as error:
        message = (
            f"no service at {target}: {error.message}; start one with `earshot up`, or name it by --target; "
            "one that wants TLS is reached with --ca"
        )
        raise errors.UnavailableError(message, reason=error.reason) from error


def say(message: str) -> None:
    """One line on standard error."""
    typer.echo(f"earshot: {message}", err=True)


def _missing_library(error: ModuleNotFoundError, extra: str) -> ExitCode:
    if not extra or (error.name or "").partition(".")[0] == "earshot":
        raise error
    how = errors.how_to_install(extra)
    say(f"this needs the library {error.name}, which is not installed: {how}")
    return ExitCode.FAILED
