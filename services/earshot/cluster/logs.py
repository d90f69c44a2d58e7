"""What all pods of a release have written, as one log."""

from __future__ import annotations

import heapq
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

from kubernetes import client

from earshot import errors
from earshot.cluster.components import Component
from earshot.cluster.connection import TIMEOUT, Cluster, Object
from earshot.cluster.pods import Container, Pod, last_line
from earshot.cluster.release import Release

_EVER: Final = datetime.min.replace(tzinfo=UTC)
_QUIET: Final = 600.0  # seconds for which a log that is followed may say nothing before it is opened anew
_PAUSE: Final = 2.0  # seconds between two looks for new pods
_GONE: Final = (
    errors.NotFoundError,
    errors.InvalidArgumentError,
)  # a log that is no longer there, or not yet


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one container's log."""

    time: datetime  # when the node received it
    pod: str
    component: str
    container: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for."""

    components: tuple[Component, ...] = ()  # none: all
    since: int | None = None  # seconds; None: from the beginning
    request_id: str = ""  # only the JSON lines about this request


@dataclass(frozen=True, slots=True)
class _Source:
    pod: Pod
    container: Container
    earlier: bool = False  # the run before the one that is on

    @property
    def run(self) -> tuple[str, str, int]:
        """Differs for each run of a container: one that starts again has a new log."""
        return self.pod.name, self.container.name, self.container.restarts


def read(release: Release, query: Query) -> Iterator[Line]:
    """All that has been written until now, in the order of time; of each container two runs at most."""
    sources = [source for pod in release.pods(*query.components) for source in _sources(pod)]
    logs = [_lines(release.cluster, source, query, follow=False) for source in sources]
    return heapq.merge(*logs, key=lambda line: line.time)


def follow(release: Release, query: Query) -> Generator[Line, None, None]:
    """What has been written since ``query.since``, and from then on for ever, as it comes.

    Containers that start again and pods that are new are followed as well.

    Raises:
        EarshotError: what the API server refuses; that it is away for a while is waited out.
    """
    following = _Following(release, query)
    Thread(target=_discover, args=(following,), daemon=True).start()
    try:
        while True:
            line = following.lines.get()
            if isinstance(line, errors.EarshotError):
                raise line
            yield line
    finally:
        following.over.set()


def last_words(cluster: Cluster, pod: Pod) -> str:
    """The last line of what keeps the pod from being ready; empty where that has written nothing.

    Raises:
        PermissionDeniedError: this user may not read logs.
    """
    if pod.last_words or not pod.blamed:
        return pod.last_words
    try:
        return last_line(
            _open(cluster, pod, container=pod.blamed, tail_lines=5).read().decode(errors="replace")
        )
    except _GONE:
        return ""


def _sources(pod: Pod) -> Iterator[_Source]:
    for container in pod.containers:
        if container.has_earlier_log:
            yield _Source(pod, container, earlier=True)
        if container.has_log:
            yield _Source(pod, container)


@dataclass(frozen=True, slots=True)
class _Following:
    """What the threads share that follow one release."""

    release: Release
    query: Query
    lines: SimpleQueue[Line | errors.EarshotError] = field(default_factory=SimpleQueue)
    over: Event = field(default_factory=Event)  # nobody reads the lines any more


def _discover(following: _Following) -> None:
    """Starts to follow each run of each container, once."""
    known: set[tuple[str, str, int]] = set()
    while not following.over.is_set():
        try:
            for source in _current(following):
                if source.run not in known:
                    known.add(source.run)
                    Thread(target=_pass_on, args=(following, source), daemon=True).start()
        except errors.UnavailableError:
            pass  # the API server will be back
        except errors.EarshotError as exc:
            following.lines.put(exc)
            return
        following.over.wait(_PAUSE)


def _current(following: _Following) -> list[_Source]:
    pods = following.release.pods(*following.query.components)
    return [source for pod in pods for source in _sources(pod) if not source.earlier]


def _pass_on(following: _Following, source: _Source) -> None:
    last = _EVER
    while not following.over.is_set():
        try:
            for line in _lines(following.release.cluster, source, following.query, follow=True):
                if line.time > last:
                    following.lines.put(line)
                    last = line.time
        except errors.UnavailableError:
            following.over.wait(_PAUSE)  # its node has gone, or the API server: what was read is skipped then
        except errors.EarshotError as exc:
            following.lines.put(exc)
            break
        else:
            break  # the container has ended, or its pod has gone


def _lines(cluster: Cluster, source: _Source, query: Query, *, follow: bool) -> Iterator[Line]:
    options = {"timestamps": True, "since_seconds": query.since, "follow": follow or None}
    try:
        response = _open(
            cluster, source.pod, container=source.container.name, previous=source.earlier or None, **options
        )
    except _GONE:
        return
    with cluster.calling():
        for raw in response:
            line = _line(source, raw.decode(errors="replace").rstrip("\n"))
            if line and _about(line.text, query.request_id):
                yield line


def _open(cluster: Cluster, pod: Pod, **options: object) -> Object:
    """The log as a stream of bytes."""
    core = cluster.api(client.CoreV1Api)
    timeout = (TIMEOUT[0], _QUIET) if options.get("follow") else TIMEOUT
    with cluster.calling():
        return core.read_namespaced_pod_log(
            pod.name, pod.namespace, _preload_content=False, _request_timeout=timeout, **options
        )


def _line(source: _Source, text: str) -> Line | None:
    moment, _, said = text.partition(" ")
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:  # no line of a container, but a note of the kubelet's
        return None
    return Line(when, source.pod.name, source.pod.component, source.container.name, said)


def _about(text: str, request_id: str) -> bool:
    if not request_id:
        return True
    record = parsed(text) if request_id in text else None
    return record is not None and record.get("request_id") == request_id


def parsed(text: str) -> dict[str, object] | None:
    """A line that is JSON; None: it is not."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
