"""The way to an API server: from a kubeconfig to its APIs, and its refusals as our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import urllib3
import yaml
from kubernetes import client, config

from earshot import errors

# The package has no types; its objects have the fields of the API, in snake case.
Api: TypeAlias = Any
Object: TypeAlias = Any

# Seconds to connect, and for each wait on what comes. Nothing here asks for much.
TIMEOUT: Final = (5.0, 30.0)
_CONNECTIONS: Final = 64  # kept; more are made where more calls run at once

# What the package raises over a kubeconfig that is missing, is no YAML, or is something else.
_UNREADABLE: Final = (
    *(config.ConfigException, yaml.YAMLError),
    *(OSError, ValueError, TypeError, KeyError, AttributeError),
)

_RIGHTS: Final = (401, 403)  # a proxy in front may say so too, without words
_KINDS: Final[dict[int, type[errors.EarshotError]]] = {
    400: errors.InvalidArgumentError,
    401: errors.UnauthenticatedError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.FailedPreconditionError,
    422: errors.InvalidArgumentError,
    429: errors.ResourceExhaustedError,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, as one context of a kubeconfig names it."""

    configuration: Api  # of the kubernetes package: address and credentials
    connections: Api  # an ``ApiClient``, which keeps them for the next call
    context: str
    namespace: str  # the context's own, else "default"

    def api(self, kind: type[Api]) -> Api:
        """One group of the API, as ``client.CoreV1Api``; any number of threads may call it."""
        return kind(self.connections)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """What goes wrong with the calls inside is raised from :mod:`earshot.errors`."""
        try:
            yield
        except client.ApiException as exc:
            raise self._refused(exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise self._unreachable(exc) from exc

    def _refused(self, refusal: client.ApiException) -> errors.EarshotError:
        status, said = _answer(refusal)
        if not status:
            return self._unreachable(refusal.__context__ or refusal)
        if not said and status not in _RIGHTS:
            server = (
                f"{self.configuration.host} answered {status}, not in the words of a Kubernetes API server"
            )
            return errors.UnavailableError(f"{server}: is {self._name} the right context?")
        said = said or f"status {status}"
        if status == 401:
            said = f"the cluster does not accept the credentials of {self._name} ({said}): log in again"
        elif status == 403:
            said = f"{self._name} lacks a right: {said}"
        return _KINDS.get(status, errors.UnavailableError)(said)

    def _unreachable(self, cause: BaseException) -> errors.UnavailableError:
        return errors.UnavailableError(
            f"no cluster answers at {self.configuration.host}, {self._name}: {_innermost(cause)}"
        )

    @property
    def _name(self) -> str:
        return f"context {self.context!r}"


def connect(context: str = "") -> Cluster:
    """The cluster that a context of the kubeconfig names; empty: the current one.

    The kubeconfig is where ``kubectl`` looks: the files in ``KUBECONFIG``, else ``~/.kube/config``.

    Raises:
        UnavailableError: there is no kubeconfig, or what it says is of no use.
        NotFoundError: it has no such context.
    """
    known, current = _contexts()
    chosen = known.get(context) if context else current
    if chosen is None:
        names = ", ".join(map(repr, sorted(known)))
        raise errors.NotFoundError(f"the kubeconfig has no context {context!r}, only {names}")
    # Their own retries would multiply the time until somebody hears that nobody is there.
    configuration = client.Configuration(retries=False, connection_pool_maxsize=_CONNECTIONS)
    try:
        config.load_kube_config(context=chosen["name"], client_configuration=configuration)
    except _UNREADABLE as exc:
        raise errors.UnavailableError(
            f"context {chosen['name']!r} of the kubeconfig is of no use: {exc}"
        ) from exc
    connections = client.ApiClient(configuration)
    return Cluster(
        configuration, connections, chosen["name"], chosen["context"].get("namespace") or "default"
    )


def _contexts() -> tuple[dict[str, Object], Object]:
    """All contexts by their names, and the current one."""
    try:
        known, current = config.list_kube_config_contexts()
    except _UNREADABLE as exc:
        raise errors.UnavailableError(
            f"no cluster: {_one_line(exc)}; name a kubeconfig in KUBECONFIG, or put one at ~/.kube/config"
        ) from exc
    return {each["name"]: each for each in known}, current


def _answer(refusal: client.ApiException) -> tuple[int, str]:
    """Status and words of a refusal. 0: there was no answer; no words: not a Kubernetes ``Status``."""
    status, body = refusal.status, refusal.body
    if not status:  # a WebSocket's: the library hides the answer behind its own exception
        status = getattr(refusal.__context__, "status_code", 0)
        body = getattr(refusal.__context__, "resp_body", b"")
    try:
        return status, str(json.loads(body or b"")["message"])
    except (ValueError, KeyError, TypeError):
        return status, ""


def _innermost(cause: BaseException) -> str:
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    return _one_line(cause)


def _one_line(cause: BaseException) -> str:
    said = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(said.split()).rstrip(".")
