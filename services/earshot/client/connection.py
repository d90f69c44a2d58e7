"""What the sync and the async client have in common: the channel's options and a call's frame."""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Final

from earshot import __version__, errors
from earshot.client.link import Link
from earshot.client.retry import Attempts, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc
    from google.protobuf.message import Message

REQUEST_ID: Final = "x-request-id"
API_KEY: Final = "x-api-key"
MEBIBYTE: Final = 1024 * 1024

_LOOPBACK: Final = ("localhost", "127.", "[::1]")
_HERE: Final = (*_LOOPBACK, "unix:", "unix-abstract:")  # what is sent there is seen by no network


class Connection:
    """Where to, how, and with what limits."""

    def __init__(  # noqa: PLR0913 - named, and each of its own kind
        self,
        target: str = "localhost:8080",
        *,
        timeout: float = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Mapping[str, str] | None = None,
        max_message_bytes: int = 64 * MEBIBYTE,
        api_key: str | None = None,
        key_in_plain_text: bool = False,
    ) -> None:
        """``target`` is ``host:port`` of the one port behind which both services are.

        ``timeout``, in seconds, is for a call with all its retries, unless the call names its own.
        ``credentials`` make the channel TLS; None is plain text. ``metadata`` goes with every call.
        A request of more than ``max_message_bytes`` is refused before it is sent.
        ``api_key`` says who is calling; None is that of ``EARSHOT_API_KEY``, where there is one. It goes to
        another machine by TLS only, but with ``key_in_plain_text``.

        Raises:
            InvalidArgumentError: the key would go over a network in plain text.
        """
        self.target = target
        self._timeout = timeout
        self._retry = retry
        self._credentials = credentials
        self._metadata = _lower(metadata)
        self._api_key = os.environ.get("EARSHOT_API_KEY", "") if api_key is None else api_key
        self._key_in_plain_text = key_in_plain_text
        self._check_key()
        self._max_message_bytes = max_message_bytes
        self._closed = False
        self._link = Link()
        self._answered = False  # a call, ever
        self._open()

    def _open(self) -> None:
        """Makes what a client needs from its beginning."""

    def _channel_options(self) -> list[tuple[str, str | int]]:
        return [
            ("grpc.primary_user_agent", f"earshot/{__version__}"),
            ("grpc.max_send_message_length", self._max_message_bytes),
            ("grpc.max_receive_message_length", self._max_message_bytes),
            # A path that has died without a word is noticed while a call waits on it: after 2.5 s where
            # something was sent and not acknowledged, else by a ping.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 2_500),
            ("grpc.keepalive_permit_without_calls", 0),
            # The library's own back-off between connections, 1 s growing to 120 s, would
            # outlast our retries. The least is also how long an attempt may take: where one address
            # stands for several machines, the next one may reach one that lives.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 500),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            # Retries are counted in one place, ``earshot.client.retry``.
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            # A proxy set for the Internet does not reach the machine that we are on.
            ("grpc.enable_http_proxy", 0 if self.target.startswith(_LOOPBACK) else 1),
        ]

    def _begin(
        self, request: Message, timeout: float | None, metadata: Mapping[str, str] | None
    ) -> tuple[Attempts, tuple[tuple[str, str], ...]]:
        """The frame of one call: its attempts, and the metadata that goes with each of them."""
        headers = self._headers(metadata)
        self._check_size(request)
        seconds = self._timeout if timeout is None else timeout
        attempts = Attempts(self._retry, seconds, headers[REQUEST_ID], known=self._answered)
        return attempts, tuple(headers.items())

    def _headers(self, metadata: Mapping[str, str] | None) -> dict[str, str]:
        """What goes with a call beside its messages; raises FailedPreconditionError once closed."""
        if self._closed:
            raise errors.FailedPreconditionError("this client is closed: make a new one")
        key = {API_KEY: self._api_key} if self._api_key else {}
        return {REQUEST_ID: str(uuid.uuid4())} | _trace() | key | self._metadata | _lower(metadata)

    def _check_key(self) -> None:
        seen = self._credentials is None and not self.target.startswith(_HERE)
        if self._api_key and seen and not self._key_in_plain_text:
            raise errors.InvalidArgumentError(
                f"the API key would go to {self.target} in plain text, for everyone on the way to read: give "
                "credentials (TLS), or allow it by key_in_plain_text where the way is protected otherwise",
                reason="KEY_IN_PLAIN_TEXT",
                field="api_key",
            )

    def _check_size(self, request: Message) -> None:
        size = request.ByteSize()
        if size > self._max_message_bytes:
            raise too_large(size, self._max_message_bytes)


def _trace() -> dict[str, str]:
    """The W3C context of the trace in which the caller's program makes this call, where it has one."""
    carrier: dict[str, str] = {}
    if "opentelemetry" in sys.modules:  # else nobody can have begun a trace
        from opentelemetry import propagate  # noqa: PLC0415

        propagate.inject(carrier)
    return carrier


def _lower(metadata: Mapping[str, str] | None) -> dict[str, str]:
    # HTTP/2 has no other names, and the library refuses them.
    return {name.lower(): value for name, value in (metadata or {}).items()}


def too_large(size: int, limit: int) -> errors.OutOfRangeError:
    """The error for a message of ``size`` bytes; ``limit`` is in bytes too."""
    return errors.OutOfRangeError(
        f"the audio makes a message of at least {size / MEBIBYTE:.1f} MiB, and the limit is "
        f"{limit / MEBIBYTE:.1f} MiB: compress it (FLAC, Opus), cut it, or raise max_message_bytes here "
        "and at the service",
        reason="MESSAGE_TOO_LARGE",
        field="content",
    )
