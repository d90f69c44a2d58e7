"""Every metric that a replica exposes: its name, type, unit, labels and meaning, here and nowhere else.

``earshot.runtime.metrics`` makes them, ``docs/metrics.md`` is made from them, and tests hold a running
stack to them. To add one: an entry here, a line in ``Metrics``, ``python docs/generate.py``.
Names and units by the conventions of Prometheus: base units, ``_total`` for counters. Every label has few
values whatever callers send (:mod:`earshot.runtime.labels`). The registry adds ``component`` to all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Texts take 1 ms to 1 s and speech 10 ms to 60 s. One set for both, so that any two can be added up.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# Time at work over length of audio: 1 keeps up with a speaker, 0.1 is ten times as fast.
RATIOS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.75, 1, 1.5, 2, 5, 10)

COMPONENT: Final = "component"  # stt or classification, as in the chart


class Kind(StrEnum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. ``name`` is without the endings that its type adds."""

    name: str
    kind: Kind
    unit: str  # as people say it
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()  # of a histogram

    @property
    def exposed(self) -> str:
        """The name to query by; a histogram's has ``_bucket``, ``_sum`` or ``_count`` after it."""
        return self.name + {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")


def _counter(name: str, unit: str, meaning: str, *labels: str) -> Spec:
    return Spec(name, Kind.COUNTER, unit, meaning, labels)


def _gauge(name: str, unit: str, meaning: str, *labels: str) -> Spec:
    return Spec(name, Kind.GAUGE, unit, meaning, labels)


def _histogram(name: str, buckets: tuple[float, ...], unit: str, meaning: str, *labels: str) -> Spec:
    return Spec(name, Kind.HISTOGRAM, unit, meaning, labels, buckets)


def _info(name: str, meaning: str, *labels: str) -> Spec:
    return Spec(name, Kind.INFO, "1", meaning, labels)


# Calls.
REQUESTS: Final = _counter("earshot_requests", "calls", "Calls answered.", "method", "code", "client")
REQUEST_SECONDS: Final = _histogram(
    "earshot_request_seconds", SECONDS, "seconds", "From a call's arrival to its end.", "method", "client"
)
FIRST_RESPONSE_SECONDS: Final = _histogram(
    "earshot_first_response_seconds",
    SECONDS,
    "seconds",
    "From a call's arrival to the first byte of its answer, where it got one.",
    "method",
)
IN_FLIGHT: Final = _gauge("earshot_requests_in_flight", "calls", "Calls being answered.", "method")
STAGE_SECONDS: Final = _histogram(
    "earshot_stage_seconds", SECONDS, "seconds", "Time of a call in each of its stages.", "method", "stage"
)
RECEIVED_BYTES: Final = _counter(
    "earshot_received_bytes", "bytes", "Request messages, as encoded.", "method", "codec", "client"
)
SENT_BYTES: Final = _counter(
    "earshot_sent_bytes", "bytes", "Response messages, as encoded.", "method", "codec", "client"
)

# Room.
REJECTED: Final = _counter("earshot_rejected", "calls", "Calls refused for lack of room.", "reason")
ADMITTED: Final = _gauge(
    "earshot_admitted_requests", "calls", "Calls that hold a permit: waiting or at work."
)
QUEUE_DEPTH: Final = _gauge("earshot_queue_depth", "jobs", "Jobs that wait for a worker.", "pool")
WORKERS: Final = _gauge("earshot_workers", "processes", "Workers that there should be.", "pool")
WORKERS_READY: Final = _gauge("earshot_workers_ready", "processes", "Workers loaded and alive.", "pool")
WORKERS_BUSY: Final = _gauge("earshot_workers_busy", "processes", "Workers at work.", "pool")
WORKER_BUSY_SECONDS: Final = _counter(
    "earshot_worker_busy_seconds", "seconds", "Time that workers were at work.", "pool"
)
WORKER_RESTARTS: Final = _counter(
    "earshot_worker_restarts", "deaths", "Workers that died, or could not be started again.", "pool"
)

# The replica.
READY: Final = _gauge("earshot_ready", "0 or 1", "Whether the replica says that it serves.")
DRAINING: Final = _gauge("earshot_draining", "0 or 1", "Whether the replica has been told to stop.")
MODEL: Final = _info("earshot_model", "The model served.", "engine", "model", "version")
FALLBACK: Final = _info(
    "earshot_fallback", "Why the engine is not the preferred one; empty: it is.", "fallback_reason"
)
BUILD: Final = _info("earshot_build", "The program.", "version")

# Audio and texts.
AUDIO_SECONDS: Final = _counter(
    "earshot_audio_seconds", "seconds", "Length of the audio received.", "codec", "client"
)
AUDIO_BYTES: Final = _counter(
    "earshot_audio_bytes", "bytes", "The audio received that could be decoded, as encoded.", "codec", "client"
)
DECODED_BYTES: Final = _counter(
    "earshot_decoded_bytes", "bytes", "The same audio as 16-bit mono samples at 16 kHz.", "codec", "client"
)
SPEECH_SECONDS: Final = _counter(
    "earshot_speech_seconds", "seconds", "Length of the speech found in it.", "client"
)
SILENCE_SKIPPED_SECONDS: Final = _counter(
    "earshot_silence_skipped_seconds", "seconds", "Length of the audio that no engine had to hear.", "client"
)
REAL_TIME_FACTOR: Final = _histogram(
    "earshot_real_time_factor",
    RATIOS,
    "ratio",
    "Time at work (decoding and inference) over the length of the audio.",
)
STREAMS_RESUMED: Final = _counter(
    "earshot_streams_resumed", "connections", "Connections of streams that went on by a resume token."
)
FINAL_SECONDS: Final = _histogram(
    "earshot_stream_final_seconds", SECONDS, "seconds", "From the end of a stretch of speech to its final."
)
FIRST_INTERIM_SECONDS: Final = _histogram(
    "earshot_stream_first_interim_seconds",
    SECONDS,
    "seconds",
    "From the start of a stretch of speech to its first interim result.",
)
ACKNOWLEDGEMENT_SECONDS: Final = _histogram(
    "earshot_stream_acknowledgement_seconds",
    SECONDS,
    "seconds",
    "From a chunk's arrival to its acknowledgement; of all that one tells of, the oldest.",
)
CHARACTERS: Final = _counter("earshot_characters", "characters", "Length of the texts scored.", "client")
SEEN_TEXTS: Final = _counter(
    "earshot_seen_texts",
    "texts",
    "Texts looked for among those seen before: found (hit) or scored (miss).",
    "outcome",
)
SEEN_BYTES: Final = _gauge(
    "earshot_seen_bytes", "bytes", "Memory of the scores of texts seen before, and of their hashes."
)

# Quotas and costs.
BILLED: Final = _counter(
    "earshot_billed",
    "seconds or characters",
    "What was answered and counts against quotas, in the unit of its label.",
    "unit",
    "client",
)
COST: Final = _counter("earshot_cost", "currency units", "Its cost, by the table of prices.", "client")
QUOTA_REFUSED: Final = _counter(
    "earshot_quota_refused", "calls", "Calls and streams that a quota has ended.", "quota", "client"
)
QUOTA_UNCHECKED: Final = _counter(
    "earshot_quota_unchecked",
    "steps",
    "Checks and bills that came while the store of quotas was away, and what became of them.",
    "outcome",
)
QUOTA_STORE_UP: Final = _gauge(
    "earshot_quota_store_up", "0 or 1", "Whether the store of quotas has answered when last asked."
)

OURS: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Spec))

# What prometheus-client says of the front process; without the label that we add.
FROM_LIBRARY: Final = (
    _counter("process_cpu_seconds", "seconds", "CPU time of the front process."),
    _gauge("process_resident_memory_bytes", "bytes", "Its resident memory."),
    _gauge("process_virtual_memory_bytes", "bytes", "Its virtual memory."),
    _gauge("process_start_time_seconds", "seconds", "When it started, since 1970."),
    _gauge("process_open_fds", "descriptors", "Its open file descriptors."),
    _gauge("process_max_fds", "descriptors", "How many it may have."),
    _gauge(
        "python_info", "1", "The interpreter.", "implementation", "major", "minor", "patchlevel", "version"
    ),
    _counter("python_gc_objects_collected", "objects", "Collected by the garbage collector.", "generation"),
    _counter("python_gc_objects_uncollectable", "objects", "Found not collectable.", "generation"),
    _counter("python_gc_collections", "runs", "Runs of the garbage collector.", "generation"),
)
