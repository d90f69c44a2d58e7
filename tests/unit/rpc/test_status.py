"""Errors over the wire and back."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from earshot import errors
from earshot.rpc.status import code_of, from_rpc_error, to_grpc_status, to_status

TREE = [
    (errors.InvalidArgumentError("m", reason="R", field="config.model"), grpc.StatusCode.INVALID_ARGUMENT),
    (errors.OutOfRangeError("m", field="content"), grpc.StatusCode.OUT_OF_RANGE),
    (errors.UnauthenticatedError("m"), grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDeniedError("m"), grpc.StatusCode.PERMISSION_DENIED),
    (errors.NotFoundError("m"), grpc.StatusCode.NOT_FOUND),
    (errors.ResourceExhaustedError("m", retry_after=1.5), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (
        errors.QuotaExceededError(
            "m",
            retry_after=1.5,
            subject="client:acme",
            quota=errors.Quota("audio_seconds_per_day", 3600.0, 12.5, 1_795_651_200.0),
        ),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ),
    (errors.QuotaExceededError("m", subject="of another version"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.FailedPreconditionError("m"), grpc.StatusCode.FAILED_PRECONDITION),
    (errors.DeadlineExceededError("m"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.CancelledError("m"), grpc.StatusCode.CANCELLED),
    (errors.UnavailableError("m"), grpc.StatusCode.UNAVAILABLE),
    (errors.UnimplementedError("m"), grpc.StatusCode.UNIMPLEMENTED),
    (errors.InternalError("m"), grpc.StatusCode.INTERNAL),
]


class Call(grpc.RpcError, grpc.Call):
    """A failed call, as a client's library gives it."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, bytes], ...]) -> None:
        self._code, self._details, self._trailers = code, details, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._trailers


for _name in grpc.Call.__abstractmethods__ | grpc.RpcContext.__abstractmethods__:
    if _name not in Call.__dict__:
        setattr(Call, _name, lambda self: None)
Call.__abstractmethods__ = frozenset()


def _call_of(error: errors.EarshotError) -> Call:
    status = to_grpc_status(error)
    return Call(status.code, status.details, tuple(status.trailing_metadata))


def test_the_table_has_every_error() -> None:
    kinds = {type(error) for error, _ in TREE}
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds == tree - {errors.EarshotError}


@pytest.mark.parametrize(("error", "code"), TREE, ids=lambda value: getattr(value, "reason", None))
def test_an_error_survives_the_wire(error: errors.EarshotError, code: grpc.StatusCode) -> None:
    assert code_of(error) is code
    back = from_rpc_error(_call_of(error))
    assert type(back) is type(error)
    assert vars(back) == vars(error)


def test_details_follow_aip_193() -> None:
    status = to_status(errors.InvalidArgumentError("say which", reason="MODEL_UNKNOWN", field="config.model"))
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("MODEL_UNKNOWN", "earshot.v1")
    assert status.details[1].Unpack(request)
    (violation,) = request.field_violations
    assert (violation.field, violation.description, violation.reason) == (
        "config.model",
        "say which",
        "MODEL_UNKNOWN",
    )


def test_a_status_without_details_is_still_told() -> None:
    error = from_rpc_error(Call(grpc.StatusCode.UNAVAILABLE, "connection refused", ()))
    assert isinstance(error, errors.UnavailableError)
    assert error.message == "connection refused"


def test_details_that_contradict_the_code_do_not_count() -> None:
    """A proxy may put a code of its own over a server's details."""
    trailers = to_grpc_status(errors.InternalError("m")).trailing_metadata
    error = from_rpc_error(Call(grpc.StatusCode.UNAVAILABLE, "reset", tuple(trailers)))
    assert isinstance(error, errors.UnavailableError)


def test_an_unknown_code_is_the_trees_root() -> None:
    error = from_rpc_error(Call(grpc.StatusCode.DATA_LOSS, "lost", ()))
    assert type(error) is errors.EarshotError
