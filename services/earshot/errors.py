"""All that can go wrong, as one tree. It knows no gRPC; ``earshot.rpc.status`` translates.

EarshotError
  +-- InvalidArgumentError        the request is wrong: field and reason say where and why
  |     +-- OutOfRangeError       right in kind, but past a limit of the service (audio too long)
  +-- UnauthenticatedError        nobody knows who is calling
  +-- PermissionDeniedError       the caller may not do this
  +-- NotFoundError               a thing named by the caller does not exist
  +-- ResourceExhaustedError      the service is full: come back after retry_after
  |     +-- QuotaExceededError    the caller has used up what it may use
  +-- FailedPreconditionError     the service is not in a state to do this (model not loaded)
  +-- DeadlineExceededError       the caller's time ran out; the work has stopped
  +-- CancelledError              the caller has gone
  +-- UnavailableError            try again: another replica, or a moment later
  +-- UnimplementedError          no such method, or not yet
  +-- InternalError               a fault of ours
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


def how_to_install(extra: str) -> str:
    """What to do where the libraries of ``extra`` are missing. Not by name: on the public index that name is
    another project's.
    """
    return f"pip install '.[{extra}]' in the checkout"


class EarshotError(Exception):
    """Base of all. ``reason`` is stable and meant for programs; the message is for people.

    ``field`` is the path of the request's field at fault, in the proto's spelling
    (``config.language_code``), or empty. ``request_id`` is that of the call that failed, set by the
    client; empty elsewhere.
    """

    default_reason: ClassVar[str] = "UNKNOWN"
    request_id: str = ""

    def __init__(self, message: str, *, reason: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.field = field


class InvalidArgumentError(EarshotError):
    """The request is wrong and will be wrong again."""

    default_reason = "INVALID_ARGUMENT"


class OutOfRangeError(InvalidArgumentError):
    """Right in kind, but past a limit of the service."""

    default_reason = "OUT_OF_RANGE"


class UnauthenticatedError(EarshotError):
    """Nobody knows who is calling."""

    default_reason = "UNAUTHENTICATED"


class PermissionDeniedError(EarshotError):
    """The caller may not do this."""

    default_reason = "PERMISSION_DENIED"


class NotFoundError(EarshotError):
    """A thing named by the caller does not exist."""

    default_reason = "NOT_FOUND"


class ResourceExhaustedError(EarshotError):
    """The service is full. ``retry_after`` is in seconds; 0 where it cannot be told."""

    default_reason = "OVERLOADED"

    def __init__(self, message: str, *, reason: str = "", field: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message, reason=reason, field=field)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Quota:
    """How much may be used, and how much has been."""

    name: str  # as audio_seconds_per_minute
    limit: float
    used: float
    resets_at: float  # seconds since the epoch


class QuotaExceededError(ResourceExhaustedError):
    """The caller has used up what it may use.

    ``subject`` says who: ``client:<name>``; ``quota`` says of what, None where that is not known.
    ``retry_after`` is until it resets; 0 where one request alone is more than the quota.
    """

    default_reason = "QUOTA_EXCEEDED"

    def __init__(  # noqa: PLR0913 - named
        self,
        message: str,
        *,
        reason: str = "",
        field: str = "",
        retry_after: float = 0.0,
        subject: str = "",
        quota: Quota | None = None,
    ) -> None:
        super().__init__(message, reason=reason, field=field, retry_after=retry_after)
        self.subject = subject
        self.quota = quota


class FailedPreconditionError(EarshotError):
    """The service is not in a state to do this."""

    default_reason = "FAILED_PRECONDITION"


class DeadlineExceededError(EarshotError):
    """The caller's time ran out."""

    default_reason = "DEADLINE_EXCEEDED"


class CancelledError(EarshotError):
    """The caller has gone."""

    default_reason = "CANCELLED"


class UnavailableError(EarshotError):
    """Nothing is wrong with the request: try again."""

    default_reason = "UNAVAILABLE"


class UnimplementedError(EarshotError):
    """No such method, or not yet."""

    default_reason = "UNIMPLEMENTED"


class InternalError(EarshotError):
    """A fault of ours."""

    default_reason = "INTERNAL"
