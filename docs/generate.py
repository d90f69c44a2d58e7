"""Makes docs/metrics.md from the catalogue; after a change there, run ``python docs/generate.py``.

``--check`` changes nothing and says whether it is as it should be.
"""

# ruff: noqa: E501 - rows of tables

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from earshot.rpc.codecs import CODECS
from earshot.runtime.calls import Stage
from earshot.runtime.catalog import COMPONENT, FROM_LIBRARY, OURS, RATIOS, SECONDS, Kind, Spec
from earshot.runtime.labels import CLIENT_HEADER, NO_AUDIO, OTHER

PAGE: Final = Path(__file__).with_name("metrics.md")

_HEAD: Final = """\
<!-- Made from services/earshot/runtime/catalog.py by docs/generate.py. -->
# Metrics

Each replica serves its own at `/metrics` (port 9464, `EARSHOT_METRICS_PORT`), Envoy its own at
`/stats/prometheus` (port 9902). [Dashboards and alerts](runbooks.md) ask for nothing else.

A page of ten clients and others, with every method and codec and an error in each, has 200 kB (9 kB in gzip, as
Prometheus asks for it) and takes 33 ms of a core; one of eleven clients with one codec 84 kB and 16 ms while 8 calls at
a time are answered (`python -m benchmarks observing`). What watching costs a call: [performance](performance.md).

Only a replica's front process counts, so a worker's death neither loses nor doubles anything. Counters start
at zero with the process; `rate` and `increase` know.
"""
_LABELS: Final = """\
## Labels

All have few values, whatever callers send.

| label | values |
|---|---|
| `{component}` | `stt` or `classification`; on all metrics of this table's first part |
| `method` | the API's methods, without their service |
| `code` | gRPC's status codes |
| `client` | a name of `EARSHOT_CLIENTS` that came in the metadata `{header}`, else `{other}` |
| `codec` | {codecs}; `{none}` for calls without audio |
| `stage` | {stages} |
| `pool` | `decoders`, `engines`, or `listener-0` and so on, of live streams |
| `reason` | `queue_full`, `memory_full` or `client_full` |

A caller may write any name into `{header}`: until something at the edge checks callers and writes the header
itself, `client` is what callers say of themselves, for figures and for turns in the queue.

## Buckets

Seconds: {seconds}. Real-time factor: {ratios}.
"""
_ENVOY: Final = """\
## Of Envoy

| metric | what |
|---|---|
| `envoy_cluster_grpc`, `envoy_cluster_grpc_total` | calls by method (`envoy_grpc_bridge_method`) and status (`grpc_code`, a number), as callers saw them: after retries |
| `envoy_cluster_upstream_rq_retry` | attempts beyond the first |
| `envoy_cluster_upstream_rq_active`, `envoy_cluster_membership_healthy` | calls under way, endpoints that get calls |
| `envoy_cluster_outlier_detection_ejections_active` | endpoints that were taken out for failing |
| `envoy_cluster_upstream_cx_total` | connections to replicas; their churn |
| `envoy_cluster_circuit_breakers_default_rq_open` | 1: no more calls are let through |
| `envoy_server_days_until_first_cert_expiring` | days, whole; 4294967295 where it has no certificate |
| `envoy_earshot_edge_wire_bytes_received`, `envoy_earshot_edge_wire_bytes_sent` | bytes as they went over the callers' wire, by `route`; counted when a call ends |
"""


def page() -> str:
    """The whole of docs/metrics.md."""
    labels = _LABELS.format(
        component=COMPONENT,
        header=CLIENT_HEADER,
        other=OTHER,
        none=NO_AUDIO,
        codecs=_names(sorted(CODECS)),
        stages=_names(stage.value for stage in Stage),
        seconds=_numbers(SECONDS),
        ratios=_numbers(RATIOS),
    )
    ours, library = _table(OURS), _table(FROM_LIBRARY)
    parts = (_HEAD, f"## Of a replica\n\n{ours}", f"### Of its front process\n\n{library}", labels, _ENVOY)
    return "\n".join(parts)


def _table(specs: Iterable[Spec]) -> str:
    rows = (
        f"| `{spec.exposed}` | {spec.kind} | {spec.unit} | {_labels(spec)} | {spec.meaning} |"
        for spec in specs
    )
    return "\n".join(("| metric | type | unit | labels | meaning |", "|---|---|---|---|---|", *rows, ""))


def _labels(spec: Spec) -> str:
    extra = ("le",) if spec.kind is Kind.HISTOGRAM else ()
    return _names((*spec.labels, *extra))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _numbers(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def main(check: bool) -> int:
    """Writes the page, or says that it is stale."""
    stale = not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page()
    if stale and not check:
        PAGE.write_text(page(), encoding="utf-8")
    if stale:
        print(f"{'stale' if check else 'written'}: {PAGE.name}")  # noqa: T201 - a script
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
