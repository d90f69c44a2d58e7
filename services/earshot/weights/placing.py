"""Puts a file or folder in its place at once or not at all, once for all processes."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from earshot import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What says that the folder cannot be written; any other error is the maker's own.
_FOLDER: Final = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST
}  # fmt: skip


def place(target: Path, make: Callable[[Path], None]) -> None:
    """Has ``make`` write a draft beside ``target`` and renames it when it is whole.

    One process at a time makes a target; the others wait and find it made. A draft that fails, or that a
    killed process left, is removed. Raises :class:`errors.FailedPreconditionError` where the folder
    cannot be written, and what ``make`` raises.
    """
    if target.exists():
        return
    draft = target.with_name(f".{target.name}.part")
    with _folder_errors(target.parent), _alone(target):
        if target.exists():
            return
        _remove(draft)
        try:
            make(draft)
            draft.rename(target)
        finally:
            _remove(draft)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    from filelock import FileLock  # noqa: PLC0415 - the light client is installed without it

    target.parent.mkdir(parents=True, exist_ok=True)
    # The lock is the kernel's: it goes with its process, whatever becomes of the file.
    with FileLock(target.with_name(f".{target.name}.lock")):
        yield


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno not in _FOLDER:
            raise
        raise errors.FailedPreconditionError(
            f"cannot write to {folder}: {exc.strerror or exc}; make room there, or name another folder by "
            "EARSHOT_CACHE",
            reason="CACHE_NOT_WRITABLE",
        ) from exc


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
