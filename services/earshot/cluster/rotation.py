"""A new authority between Envoy and the pods of a release, step by step, so that no call is lost.

Kubelets hand a changed Secret to their pods one after another, within a minute or two. In between one side
has files that the other has not, so no step may take away what the other side still goes by: first both
authorities are believed, then the new certificates are shown, then the new authority alone is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from kubernetes import client

from earshot import errors
from earshot.cluster.connection import TIMEOUT
from earshot.cluster.release import Release

# What the certificates are made out to, by how the names of their Secrets end.
HOSTS: Final = {"-tls-envoy": "envoy.earshot.internal", "-tls-services": "services.earshot.internal"}
_AUTHORITY: Final = "ca.crt"


class Files(Protocol):
    """A Secret, as :class:`earshot.cluster.secrets.Secret`."""

    def load(self) -> dict[str, str]:
        """Its texts by their names."""

    def save(self, files: Mapping[str, str]) -> None:
        """These are in it from now on, beside others."""


def rotate(
    secrets: Mapping[str, Files],
    issue: Callable[[str], Mapping[str, bytes]],
    handed_over: Callable[[str], None],
) -> None:
    """Changes the Secrets, by the host that each is made out to. Who stops it in between begins again.

    ``issue`` gives ``tls.crt``, ``tls.key`` and ``ca.crt`` of the new authority for a host. ``handed_over``
    is called with what has been done, and returns when all pods have it.
    """
    new = {host: {name: text.decode() for name, text in issue(host).items()} for host in secrets}
    believed = {host: secret.load()[_AUTHORITY] + new[host][_AUTHORITY] for host, secret in secrets.items()}
    _save(secrets, {host: {_AUTHORITY: both} for host, both in believed.items()})
    handed_over("both authorities are believed")
    _save(secrets, {host: files | {_AUTHORITY: believed[host]} for host, files in new.items()})
    handed_over("the new certificates are shown")
    _save(secrets, {host: {_AUTHORITY: files[_AUTHORITY]} for host, files in new.items()})


def _save(secrets: Mapping[str, Files], changed: Mapping[str, Mapping[str, str]]) -> None:
    for host, secret in secrets.items():
        secret.load()  # it knows what it changes
        secret.save(changed[host])


def names(release: Release) -> dict[str, str]:
    """The Secrets of a release's own authority, by the host that each is made out to.

    Raises:
        FailedPreconditionError: its certificates are somebody else's, or it has none.
    """
    core = release.cluster.api(client.CoreV1Api)
    with release.cluster.calling():
        listed = core.list_namespaced_secret(
            release.namespace, label_selector=release.selector("tls"), _request_timeout=TIMEOUT
        )
    found = [str(each.metadata.name) for each in listed.items]
    chosen = {host: name for end, host in HOSTS.items() for name in found if name.endswith(end)}
    if len(chosen) < len(HOSTS):
        raise errors.FailedPreconditionError(
            f"release {release.name!r} has no certificates that the chart has made (tls.internal): "
            "whoever makes them changes them"
        )
    return chosen
