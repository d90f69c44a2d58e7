"""What a stack did between two moments: calls, replicas and codecs, as ``earshot top`` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from earshot.local.figures import Moment, Reading, merged, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALLS: Final = "earshot_requests_total"
_SECONDS: Final = "earshot_request_seconds"
_FACTOR: Final = "earshot_real_time_factor"


@dataclass(frozen=True, slots=True)
class MethodFrame:
    """The calls of one method, all replicas together."""

    service: str
    method: str
    rate: float  # calls a second
    errors: float  # share of them, 0 to 1
    p50: float | None  # seconds; None: no call ended
    p95: float | None


@dataclass(frozen=True, slots=True)
class ReplicaFrame:
    """One replica."""

    replica: str
    service: str
    rate: float  # calls a second
    share: float | None  # of its service's calls, over an even share: 1 is even; None: there were none
    in_flight: int
    queue: int  # jobs that wait for a worker
    busy: float  # share of the engines' time that they were at work, 0 to 1
    restarts: int  # of workers, since the replica started
    real_time_factor: float | None  # mean; None: no clip was written down


@dataclass(frozen=True, slots=True)
class CodecFrame:
    """The audio that came in one codec."""

    codec: str
    audio: float  # seconds of audio in each second
    received: float  # bytes a second, as encoded
    saved: float  # bytes a second that samples would have taken beyond that


@dataclass(frozen=True, slots=True)
class Frame:
    """All of it, over ``seconds``."""

    seconds: float
    methods: list[MethodFrame]
    replicas: list[ReplicaFrame]
    codecs: list[CodecFrame]


def frame(before: Moment, after: Moment) -> Frame:
    """What happened between; a replica that was not there before has done nothing yet."""
    seconds = after.at - before.at
    grown = {key: _grown(key, reading, before) for key, (_, reading) in after.replicas.items()}
    whole = merged(list(grown.values()))
    return Frame(
        seconds=seconds,
        methods=list(_methods(whole, seconds)),
        replicas=list(_replicas(after, grown, seconds)),
        codecs=list(_codecs(whole, seconds)),
    )


def _grown(key: tuple[str, int], reading: Reading, before: Moment) -> Reading:
    _, was = before.replicas.get(key, ({}, reading))
    return reading.since(was)


def _methods(whole: Reading, seconds: float) -> Iterator[MethodFrame]:
    for service in whole.values(_CALLS, "component"):
        methods = {found["method"] for found, _ in whole.series(_CALLS, component=service)}
        for method in sorted(methods):
            of = {"component": service, "method": method}
            calls = whole.total(_CALLS, **of)
            failed = calls - whole.total(_CALLS, code="OK", **of)
            p50, p95 = (quantile(share, whole, _SECONDS, **of) for share in (0.5, 0.95))
            yield MethodFrame(service, method, calls / seconds, failed / calls if calls else 0.0, p50, p95)


def _replicas(after: Moment, grown: dict[tuple[str, int], Reading], seconds: float) -> Iterator[ReplicaFrame]:
    for key, (status, now) in after.replicas.items():
        since = grown[key]
        fellows = [
            grown[one] for one, (other, _) in after.replicas.items() if other["service"] == status["service"]
        ]
        even = sum(one.total(_CALLS) for one in fellows) / len(fellows)
        yield _replica(status, now, since, seconds, even)


def _replica(
    status: dict[str, Any], now: Reading, since: Reading, seconds: float, even: float
) -> ReplicaFrame:
    calls, clips = since.total(_CALLS), since.total(f"{_FACTOR}_count")
    busy = since.total("earshot_worker_busy_seconds_total", pool="engines")
    workers = now.total("earshot_workers", pool="engines")
    return ReplicaFrame(
        replica=status["name"],
        service=status["service"],
        rate=calls / seconds,
        share=calls / even if even else None,
        in_flight=int(now.total("earshot_requests_in_flight")),
        queue=int(now.total("earshot_queue_depth")),
        busy=min(1.0, busy / workers / seconds) if workers else 0.0,  # the looks take a moment, too
        restarts=int(now.total("earshot_worker_restarts_total")),
        real_time_factor=since.total(f"{_FACTOR}_sum") / clips if clips else None,
    )


def _codecs(whole: Reading, seconds: float) -> Iterator[CodecFrame]:
    for codec in whole.values("earshot_audio_seconds_total", "codec"):
        received = whole.total("earshot_audio_bytes_total", codec=codec)
        decoded = whole.total("earshot_decoded_bytes_total", codec=codec)
        audio = whole.total("earshot_audio_seconds_total", codec=codec)
        yield CodecFrame(codec, audio / seconds, received / seconds, (decoded - received) / seconds)
