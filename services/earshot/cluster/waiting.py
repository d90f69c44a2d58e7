"""Waiting until a release is ready, and saying what for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from earshot import errors
from earshot.cluster.components import Component
from earshot.cluster.edges import HEALTHY, endpoints
from earshot.cluster.pods import Pod
from earshot.cluster.release import Deployment, Release

_PAUSE: Final = 1.0  # seconds between two looks


def wait(release: Release, timeout: float, tell: Callable[[str], None]) -> None:
    """Returns once all pods are ready, of the newest template, and every Envoy sends calls to them.

    ``tell`` gets what is missing, in one line, each time that it changes. Without the right to
    forward ports Envoy is not asked, which is told as well.

    Raises:
        DeadlineExceededError: something is still missing after ``timeout`` seconds.
        NotFoundError: there is no such release.
    """
    deadline = time.monotonic() + timeout
    release.deployments()  # what is wrong from the beginning is raised, and not waited for
    told = ""
    while lacks := "; ".join(_missing(release, tell)):
        if lacks != told:
            tell(f"waiting for {lacks}")
            told = lacks
        if time.monotonic() >= deadline:
            raise errors.DeadlineExceededError(f"not ready after {timeout:g} s, waiting for {lacks}")
        time.sleep(_PAUSE)


def _missing(release: Release, tell: Callable[[str], None]) -> list[str]:
    try:
        unsettled = [each for each in release.deployments() if not each.settled]
        pods = release.pods()
        if unsettled:
            return [_lack(each, pods) for each in unsettled]
        return list(_unsent(release, pods))
    except errors.UnavailableError as exc:
        return [exc.message]
    except errors.PermissionDeniedError as exc:
        tell(f"Envoy is not asked: {exc.message}")
        return []


def _lack(deployment: Deployment, pods: Sequence[Pod]) -> str:
    wanted, ready = deployment.wanted, deployment.ready
    if ready == wanted:
        lack = f"{deployment.name} ({deployment.updated} of {wanted} pods updated, {deployment.total} in all)"
    else:
        lack = f"{deployment.name} ({ready} of {wanted} pods ready)"
    troubles = (
        ": ".join(filter(None, (pod.name, pod.trouble, pod.last_words or pod.detail)))
        for pod in pods
        if pod.component == deployment.component and not (pod.ready or pod.leaving or pod.starting)
    )
    why = next(troubles, deployment.problem)
    return f"{lack}: {why}" if why else lack


def _unsent(release: Release, pods: Sequence[Pod]) -> Iterator[str]:
    """Replicas that an Envoy does not send calls to, though they serve."""
    replicas = [each for each in pods if each.component != Component.ENVOY]
    serving = {each.name for each in replicas if each.serving}
    for envoy in pods:
        if envoy.component == Component.ENVOY and envoy.serving:
            for each in endpoints(release.cluster, envoy, replicas):
                if each.pod in serving and each.health != HEALTHY:
                    yield f"{envoy.name} to send calls to {each.pod} ({each.health})"
