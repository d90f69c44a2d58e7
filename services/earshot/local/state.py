"""The folder in which a stack keeps what outlives a call: its lock, its socket, its logs.

One stack for each folder: the lock is the kernel's, so it is gone when its process is gone,
however that went, and what else lies there then is stale and is replaced.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from earshot import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_SOCKET_BYTES: Final = 107  # sockaddr_un.sun_path, without its end


class StateFolder:
    """Where each thing lies; nothing is made before :meth:`hold`."""

    def __init__(self, root: Path | None = None) -> None:
        """``root``: the folder; None is the user's own for this machine.

        Raises:
            InvalidArgumentError: the name is too long for a socket to lie in it.
        """
        self.root = (root or platformdirs.user_state_path("earshot", appauthor=False)).absolute()
        self.lock = self.root / "lock"
        self.socket = self.root / "control.sock"
        self.logs = self.root / "logs"
        self.endpoints = self.root / "endpoints"
        self.envoy_config = self.root / "envoy.yaml"
        self.keys = self.root / "keys"
        self.tls = self.root / "tls"
        self.secrets = self.root / "secrets"
        self.allowed = self.root / "allowed"
        self.inner = self.root / "inner.sock"
        self.redis = self.root / "redis.sock"
        length = len(os.fsencode(self.socket))
        if length > _SOCKET_BYTES:
            raise errors.InvalidArgumentError(
                f"the name of the state folder {self.root} is {length - _SOCKET_BYTES} bytes too long for a "
                "socket to lie in it: give a shorter one by --state or EARSHOT_STATE"
            )

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Makes the folder ours; gives True where the last stack ended without cleaning up.

        Raises:
            FailedPreconditionError: another stack runs here, or the folder cannot be written to.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock.touch()
        except OSError as exc:
            raise errors.FailedPreconditionError(
                f"the state folder {self.root} cannot be written to ({exc.strerror}): give another by "
                "--state or EARSHOT_STATE"
            ) from exc
        with self.lock.open("a+") as lock:
            self._take(lock)
            stale = self.socket.exists()
            self._clean()
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            try:
                yield stale
            finally:
                self._clean()
                lock.truncate(0)

    def resume_keys(self) -> Path:
        """The file with the key of resume tokens, made once: tokens outlive the stack."""
        file = self.root / "resume-keys"
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(secrets.token_hex(32) + "\n")
        return file

    def holder(self) -> int | None:
        """The process id of the stack that runs here; None where none does."""
        try:
            with self.lock.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return int(self.lock.read_text() or 0)
        return None

    def _take(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise errors.FailedPreconditionError(
                f"a stack already runs here (process {self.lock.read_text().strip()}, state in {self.root}): "
                "`earshot down` stops it; --state DIR or EARSHOT_STATE gives another one its own folder"
            ) from exc

    def _clean(self) -> None:
        for socket in (self.socket, self.inner, self.redis):
            socket.unlink(missing_ok=True)
        for folder in (self.logs, self.endpoints):
            folder.mkdir(exist_ok=True)
        for file in self.endpoints.iterdir():
            file.unlink()
