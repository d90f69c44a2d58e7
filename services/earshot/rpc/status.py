"""Errors to gRPC statuses and back, by one table.

Details follow AIP-193: ``ErrorInfo`` always, ``BadRequest`` for the field at fault,
``RetryInfo`` when it makes sense to come back, ``QuotaFailure`` for quotas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from earshot import errors
from earshot.rpc.wire import duration

DOMAIN: Final = "earshot.v1"

# The most special class first: the first match counts.
_CODES: Final[tuple[tuple[type[errors.EarshotError], grpc.StatusCode], ...]] = (
    (errors.OutOfRangeError, grpc.StatusCode.OUT_OF_RANGE),
    (errors.InvalidArgumentError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.UnauthenticatedError, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDeniedError, grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.ResourceExhaustedError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.FailedPreconditionError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.DeadlineExceededError, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.CancelledError, grpc.StatusCode.CANCELLED),
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (errors.UnimplementedError, grpc.StatusCode.UNIMPLEMENTED),
    (errors.InternalError, grpc.StatusCode.INTERNAL),
)
_ERRORS: Final = {code: error for error, code in _CODES}

# An error of grpc.aio is no grpc.Call, but it answers the same questions.
_FAILED_CALLS: Final = (grpc.Call, grpc.aio.AioRpcError)


def code_of(error: errors.EarshotError) -> grpc.StatusCode:
    """The status code that stands for ``error``."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)


def to_status(error: errors.EarshotError, trace_id: str = "") -> status_pb2.Status:
    """``error`` with its details, as it goes over the wire; ``trace_id`` stands in its ``ErrorInfo``."""
    status = status_pb2.Status(code=code_of(error).value[0], message=error.message)
    for detail in _details(error, trace_id):
        status.details.add().Pack(detail)
    return status


def to_grpc_status(
    error: errors.EarshotError, trace_id: str = "", trailers: Sequence[tuple[str, str]] = ()
) -> grpc.Status:
    """The same as :func:`to_status`, in the form that a server context takes; ``trailers`` go with it: what
    has been set on the context does not.
    """
    status: Any = rpc_status.to_status(to_status(error, trace_id))
    made: grpc.Status = status._replace(trailing_metadata=(*status.trailing_metadata, *trailers))
    return made


def _details(error: errors.EarshotError, trace_id: str) -> list[message.Message]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if trace_id:
        info.metadata["trace_id"] = trace_id
    details: list[message.Message] = [info]
    if isinstance(error, errors.InvalidArgumentError):
        details.append(_bad_request(error))
    if isinstance(error, errors.QuotaExceededError):
        details.append(_quota_failure(error))
        info.metadata.update(_quota_state(error.quota))
    if isinstance(error, errors.ResourceExhaustedError) and error.retry_after > 0:
        details.append(error_details_pb2.RetryInfo(retry_delay=duration(error.retry_after)))
    return details


def _bad_request(error: errors.EarshotError) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.field, description=error.message, reason=error.reason
    )
    return error_details_pb2.BadRequest(field_violations=[violation])


def _quota_failure(error: errors.QuotaExceededError) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(subject=error.subject, description=error.message)
    if error.quota:
        violation.api_service = DOMAIN
        violation.quota_id = error.quota.name
        violation.quota_value = int(error.quota.limit)
    return error_details_pb2.QuotaFailure(violations=[violation])


def _quota_state(quota: errors.Quota | None) -> dict[str, str]:
    """What ``QuotaFailure`` has no fields for, in the place that AIP-193 gives to what programs read."""
    if quota is None:
        return {}
    resets = datetime.fromtimestamp(quota.resets_at, UTC).isoformat(timespec="seconds")
    return {
        "quota": quota.name,
        "limit": f"{quota.limit:.10g}",
        "used": f"{quota.used:.10g}",
        "resets_at": resets.replace("+00:00", "Z"),
    }


def _quota(metadata: Mapping[str, str]) -> errors.Quota | None:
    """The opposite of :func:`_quota_state`."""
    try:
        resets = datetime.fromisoformat(metadata["resets_at"]).timestamp()
        return errors.Quota(metadata["quota"], float(metadata["limit"]), float(metadata["used"]), resets)
    except (KeyError, ValueError):  # of another version of the service
        return None


def from_rpc_error(error: grpc.RpcError) -> errors.EarshotError:
    """The error that a failed call stands for; never raises on details it does not know."""
    if not isinstance(error, _FAILED_CALLS):
        return errors.UnavailableError(str(error))
    status = _status_of(error)
    details = _Details(status)
    kind = _ERRORS.get(error.code(), errors.EarshotError)
    text = error.details() or error.code().name
    if kind is errors.ResourceExhaustedError:
        return _exhausted(text, details)
    return kind(text, reason=details.reason, field=details.field)


def _status_of(call: grpc.Call | grpc.aio.AioRpcError) -> status_pb2.Status:
    try:
        return rpc_status.from_call(cast("grpc.Call", call)) or status_pb2.Status()
    except ValueError:  # a proxy has put a code of its own over the server's details
        return status_pb2.Status()


def _exhausted(text: str, details: _Details) -> errors.EarshotError:
    if details.quota is None:
        return errors.ResourceExhaustedError(text, reason=details.reason, retry_after=details.retry_after)
    return errors.QuotaExceededError(
        text,
        reason=details.reason,
        retry_after=details.retry_after,
        subject=details.quota,
        quota=_quota(details.metadata),
    )


class _Details:
    """What of a status's details our errors can hold."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.reason, self.field, self.retry_after = "", "", 0.0
        self.quota: str | None = None
        self.metadata: Mapping[str, str] = {}
        for packed in status.details:
            self._take(packed)

    def _take(self, packed: any_pb2.Any) -> None:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
        if packed.Unpack(info):
            self.reason, self.metadata = info.reason, info.metadata
        elif packed.Unpack(request) and request.field_violations:
            self.field = request.field_violations[0].field
        elif packed.Unpack(retry):
            self.retry_after = retry.retry_delay.ToNanoseconds() / 1e9
        elif packed.Unpack(quota) and quota.violations:
            self.quota = quota.violations[0].subject
