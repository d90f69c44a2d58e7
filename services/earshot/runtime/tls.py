"""Certificates of this service: who it is to others, and whom it believes; both ways (mutual TLS).

A folder has ``tls.crt``, ``tls.key`` and ``ca.crt``, as Kubernetes and cert-manager write them. It is looked
at again at each handshake: who has new files shows the new certificate, and no connection ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import grpc

from earshot import errors
from earshot.runtime.logs import logger

# The name in the certificate of Envoy, whatever its address is.
ENVOY_NAME: Final = "envoy.earshot.internal"
_FILES: Final = ("tls.key", "tls.crt", "ca.crt")


@dataclass(frozen=True, slots=True)
class _Pair:
    key: bytes
    certificate: bytes
    authority: bytes


class Certificates:
    """What is in the folder."""

    def __init__(self, folder: Path) -> None:
        """Raises FailedPreconditionError where a file is missing."""
        self._folder = folder
        self._seen = self._stamp()
        self._pair = self._read()

    def server(self) -> grpc.ServerCredentials:
        """For a port that only who has a certificate of the authority can speak to."""
        seen = self._pair

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            self.refresh()
            if self._pair is seen:
                return None
            seen = self._pair
            return _configuration(seen)

        # The stubs do not know that None is "as before".
        return grpc.dynamic_ssl_server_credentials(
            _configuration(seen), cast("Any", fetch), require_client_authentication=True
        )

    def client(self) -> grpc.ChannelCredentials:
        """For a channel to one whose certificate the authority has signed."""
        pair = self._pair
        return grpc.ssl_channel_credentials(pair.authority, pair.key, pair.certificate)

    def refresh(self) -> bool:
        """Whether the files are others than at the last look; those that cannot be read change nothing."""
        with contextlib.suppress(errors.FailedPreconditionError):
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            pair = self._read()
            self._seen = stamp
            if pair == self._pair:
                return False
            self._pair = pair
            logger().info("new certificates", folder=str(self._folder))
            return True
        return False

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        with self._reading():
            found = [(self._folder / name).stat() for name in _FILES]
            return tuple((each.st_ino, each.st_mtime_ns) for each in found)

    def _read(self) -> _Pair:
        with self._reading():
            return _Pair(*((self._folder / name).read_bytes() for name in _FILES))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise errors.FailedPreconditionError(
                f"EARSHOT_TLS_FOLDER: {', '.join(_FILES)} must be in it ({exc.strerror}: {exc.filename})"
            ) from exc


def _configuration(pair: _Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], pair.authority)
