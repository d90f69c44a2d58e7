"""What a machine has run out of, and who is told what."""

from __future__ import annotations

import errno
import io
import threading

import pytest

from earshot import errors
from earshot.runtime.logs import _Steady
from earshot.runtime.shortage import shortage, shortage_at_start
from earshot.runtime.task import from_parts, to_parts


@pytest.mark.parametrize(
    ("exc", "lack"),
    [
        (OSError(errno.EMFILE, "x"), "file descriptors"),
        (OSError(errno.ENFILE, "x"), "file descriptors"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOSPC, "x"), "space on a disk"),
        (RuntimeError("can't start new thread"), "threads"),
    ],
)
def test_it_is_nobodys_fault_and_worth_another_try(exc: Exception, lack: str) -> None:
    error = shortage(exc)
    assert isinstance(error, errors.UnavailableError)
    assert (error.reason, lack in error.message) == ("OUT_OF_RESOURCES", True)
    assert from_parts(to_parts(exc)).message == error.message


@pytest.mark.parametrize("exc", [OSError(errno.ENOENT, "x"), OSError("x"), RuntimeError("x"), ValueError()])
def test_another_error_is_none(exc: Exception) -> None:
    assert shortage(exc) is None


def test_a_process_too_many_is_a_lack_and_nothing_to_read_is_none() -> None:
    """They have one number."""
    exc = OSError(errno.EAGAIN, "x")
    error = shortage_at_start(exc)
    assert error
    assert (error.reason, "processes" in error.message) == ("OUT_OF_RESOURCES", True)
    assert shortage(exc) is None


def test_what_python_says_where_there_is_no_thread() -> None:
    """In other words we would not know it."""
    before = threading.stack_size(1 << 48)  # more than a process has addresses for
    try:
        with pytest.raises(RuntimeError) as caught:
            threading.Thread(target=lambda: None).start()
    finally:
        threading.stack_size(before)
    assert shortage(caught.value)


def test_a_log_on_a_full_disk_fails_nobody() -> None:
    full = io.BufferedWriter(io.FileIO("/dev/full", "w"))
    with pytest.raises(OSError, match="No space"):
        full.write(b"x" * 2 * io.DEFAULT_BUFFER_SIZE)
    steady = _Steady(full)
    steady.write(b"x" * 2 * io.DEFAULT_BUFFER_SIZE)
    steady.flush()
    full.detach().close()
