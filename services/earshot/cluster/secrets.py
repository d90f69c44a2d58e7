"""A Secret of a cluster as files: read, and written where nobody else has meanwhile."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from kubernetes import client

from earshot import errors
from earshot.cluster.connection import connect

if TYPE_CHECKING:
    from collections.abc import Mapping


class Secret:
    """One Secret; it may not be there yet."""

    def __init__(self, name: str, namespace: str = "", context: str = "") -> None:
        """``namespace`` and ``context`` are the kubeconfig's own where they are empty.

        Raises:
            UnavailableError, NotFoundError: as :func:`earshot.cluster.connection.connect`.
        """
        self._cluster = connect(context)
        self._name, self._namespace = name, namespace or self._cluster.namespace
        self._version: str | None = None  # that we have read; None: it was not there

    def load(self) -> dict[str, str]:
        """Its texts by their names; none where it is not there. Raises what the cluster answers."""
        try:
            with self._cluster.calling():
                found = self._api.read_namespaced_secret(self._name, self._namespace)
        except errors.NotFoundError:
            return {}
        self._version = found.metadata.resource_version
        return {name: base64.b64decode(data).decode() for name, data in (found.data or {}).items()}

    def save(self, files: Mapping[str, str]) -> None:
        """These texts are in it from now on, beside others that are.

        Raises:
            FailedPreconditionError: somebody has changed it since it was read.
        """
        body = {"metadata": {"name": self._name}, "stringData": dict(files)}
        with self._cluster.calling():
            if self._version is None:
                self._api.create_namespaced_secret(self._namespace, body)
            else:
                body["metadata"]["resourceVersion"] = self._version
                self._api.patch_namespaced_secret(self._name, self._namespace, body)

    @property
    def _api(self) -> client.CoreV1Api:
        return self._cluster.api(client.CoreV1Api)
