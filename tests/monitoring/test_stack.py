"""A real stack with a real Prometheus: every query of every dashboard and rule answers, and figures agree."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
import pytest

from earshot.gen.v1.classification_pb2 import (
    ClassifyRequest,
    ClassifySpeechRequest,
    StreamingClassifySpeechRequest,
)
from earshot.local.ports import free_ports
from earshot.runtime.catalog import FROM_LIBRARY, OURS
from tests.collector import Collector, collecting
from tests.envoy.test_whole import Whole, earshot, up
from tests.monitoring import dashboards
from tests.monitoring.asking import Prometheus, filled_in
from tests.monitoring.traffic import CLIENTS, Callers, Ledger, requests

pytestmark = pytest.mark.timeout(600)

PATIENCE = 30.0  # seconds for what must happen at all
SCRAPED_TWICE = 5.0  # seconds: `earshot up` has it read every 2 s
ENVOY_CALLS = 'envoy_cluster_grpc_total{envoy_grpc_bridge_method="%s"}'
UNARY = ("Recognize", "Classify", "ClassifySpeech")
METHODS = (*UNARY, "StreamingRecognize", "StreamingClassifySpeech")
# What classification calls, to hear, for each of its own.
HEARD_FOR = {"Recognize": "ClassifySpeech", "StreamingRecognize": "StreamingClassifySpeech"}
SETTINGS = {"EARSHOT_CLIENTS": ",".join(CLIENTS), "EARSHOT_QUEUE": "1"}
CALL, STREAM, CALLER = "1" * 32, "2" * 32, "3" * 16  # ids of traces and of a span
# What may have no series in this stack, and why.
EMPTY = {
    "kube_horizontalpodautoscaler_": "kube-state-metrics tells of autoscalers, and one machine has none",
    "min(envoy_server_days_until_first_cert_expiring": "nothing is encrypted on this machine",
    "annotation Deployments": "nothing was deployed during the test",
    "annotation Scaling": "no replica came or went during the test",
}
# Alerts look at this as well; here it is not there.
ABSENT = ("kube_horizontalpodautoscaler_",)


@dataclass
class Watched:
    """The stack after its traffic, and what the callers saw."""

    prometheus: Prometheus
    whole: Whole
    collector: Collector
    ledger: Ledger = field(default_factory=Ledger)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    if shutil.which("prometheus") is None:
        pytest.fail("prometheus is not on the PATH: `shared/cluster/cluster tools` puts it there")
    (port,) = free_ports(1)
    options = ("--prometheus", "--prometheus-port", str(port), "--classification", "1")
    with collecting() as collector, _environment(**SETTINGS, **_traced(collector)), up(*options) as whole:
        assert whole.process.poll() is None, whole.announced
        found = Watched(Prometheus(f"http://127.0.0.1:{port}"), whole, collector)
        asyncio.run(_traffic(found))
        yield found


def _traced(collector: Collector) -> dict[str, str]:
    return {"EARSHOT_OTLP_ENDPOINT": collector.url, "EARSHOT_TRACE_SHARE": "0"}


async def _traffic(watched: Watched) -> None:
    """Twice the same, seen twice each time: only what grows between two scrapes has a rate."""
    async with grpc.aio.insecure_channel(watched.whole.target) as channel:
        hearing = [f"127.0.0.1:{replica['port']}" for replica in watched.whole.replicas("stt")]
        callers = Callers(channel, hearing, watched.ledger)
        await callers.round()
        await asyncio.to_thread(_settle, watched)
        _kill_an_engine(watched.whole)
        await callers.round()
        (clip,) = [one for one in requests() if isinstance(one, ClassifySpeechRequest)]
        await callers.call(clip, "somebody", _parent(CALL), ("x-request-id", "as the caller has it"))
        await callers.stream(StreamingClassifySpeechRequest, "somebody", _parent(STREAM))
        await asyncio.to_thread(_settle, watched)


def _parent(trace: str) -> tuple[str, str]:
    """A caller's span of that trace, which it wants recorded."""
    return ("traceparent", f"00-{trace}-{CALLER}-01")


def _kill_an_engine(whole: Whole) -> None:
    replica = whole.replicas("stt")[0]
    engine = max(psutil.Process(replica["pid"]).children(), key=lambda one: float(one.create_time()))
    os.kill(engine.pid, signal.SIGKILL)


def _settle(watched: Watched) -> None:
    """Until Prometheus has seen all calls, and had the time for rates."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        seen = [
            watched.prometheus.total(f'envoy_cluster_grpc_total{{envoy_grpc_bridge_method="{name}"}}')
            for name in METHODS
        ]
        if seen == [_through_envoy(watched.ledger, name) for name in METHODS]:
            time.sleep(SCRAPED_TWICE)
            return
        time.sleep(0.5)


def _through_envoy(ledger: Ledger, method: str) -> int:
    """The callers' calls, and those that classification makes to hear."""
    return ledger.of(method) + ledger.of(HEARD_FOR.get(method, ""))


def test_prometheus_reads_everybody(watched: Watched) -> None:
    assert watched.prometheus.by("pod", "up") == {
        "earshot-envoy-1": 1,
        "earshot-stt-1": 1,
        "earshot-stt-2": 1,
        "earshot-classification-1": 1,
    }


@pytest.mark.parametrize("asked", list(dashboards.asked()), ids=lambda one: f"{one.dashboard}: {one.title}")
def test_every_panel_answers(watched: Watched, asked: dashboards.Asked) -> None:
    values = watched.prometheus.values(filled_in(asked.expr))
    assert values or _may_be_empty(asked)
    assert all(math.isfinite(value) for value in values), values


def _may_be_empty(asked: dashboards.Asked) -> bool:
    return any(asked.expr.startswith(known) or asked.title == known for known in EMPTY)


def test_nothing_is_excused_in_vain() -> None:
    for known in EMPTY:
        assert any(one.expr.startswith(known) or one.title == known for one in dashboards.asked())


@pytest.mark.parametrize("variable", list(dashboards.variables()), ids=lambda one: f"{one[0]}: {one[1]}")
def test_every_variable_has_values(watched: Watched, variable: tuple[str, str, str]) -> None:
    _, name, query = variable
    found = watched.prometheus.label_values(filled_in(query))
    expected = {
        "namespace": {"local"},
        "release": {"earshot-stt-1", "earshot-stt-2", "earshot-classification-1"},
        "service": {"stt", "classification"},
        "client": {*CLIENTS, "other"},
    }
    assert set(found) == expected[name]


def test_every_rule_and_alert_is_evaluated(watched: Watched) -> None:
    rules = watched.prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}
    for rule in rules:
        if rule["type"] == "recording":
            values = watched.prometheus.values(rule["query"])
            assert values
            assert all(math.isfinite(value) for value in values), rule["query"]


def test_every_series_that_an_alert_reads_is_there(watched: Watched) -> None:
    read = {
        selector
        for rule in watched.prometheus.rules()
        if rule["type"] == "alerting"
        for selector in watched.prometheus.selectors(rule["query"])
    }
    assert len(read) > 10
    missing = {one for one in read if not watched.prometheus.values(one)}
    assert not {one for one in missing if not any(known in one for known in ABSENT)}


def test_no_alert_fires_that_has_no_reason(watched: Watched) -> None:
    firing = {rule["name"] for rule in watched.prometheus.rules() if rule.get("state") == "firing"}
    # Callers were turned away on purpose; on a slow machine that is so for as long as this alert waits.
    assert firing <= {"EarshotErrorBudgetBurnsFast"}


def test_all_that_is_exposed_is_in_the_catalogue_and_the_other_way_round(watched: Watched) -> None:
    names = watched.prometheus.label_values('label_values({__name__=~".+",pod!~".*-envoy-.*"}, __name__)')
    # "up" and its like are Prometheus's own, of each target.
    own = {name for name in names if name == "up" or name.startswith("scrape_")}
    exposed = {_without_ending(name) for name in set(names) - own if not name.startswith("ALERTS")}
    known = {spec.exposed for spec in (*OURS, *FROM_LIBRARY)}
    assert exposed - {"earshot:error_budget_burn"} == known


def _without_ending(name: str) -> str:
    if ":" in name:
        return name.rpartition(":")[0]
    histograms = {spec.name for spec in OURS if spec.buckets}
    base = name.rpartition("_")[0]
    return base if base in histograms else name


@pytest.mark.parametrize("method", METHODS)
def test_callers_envoy_and_services_count_the_same(watched: Watched, method: str) -> None:
    ledger, prometheus = watched.ledger, watched.prometheus
    through = _through_envoy(ledger, method)
    assert prometheus.total(ENVOY_CALLS % method) == through
    ok = prometheus.total(f'envoy_cluster_grpc{{envoy_grpc_bridge_method="{method}",grpc_code="0"}}')
    direct = ledger.direct if method == "StreamingRecognize" else 0
    served = prometheus.total(f'earshot_requests_total{{method="{method}",code="OK"}}') - direct
    assert ok == served == ledger.calls[method, "OK"] + ledger.calls[HEARD_FOR.get(method, ""), "OK"]
    attempts = prometheus.total(f'earshot_requests_total{{method="{method}"}}') - direct
    refused = prometheus.total(f'earshot_requests_total{{method="{method}",code="RESOURCE_EXHAUSTED"}}')
    assert attempts - refused == through - ledger.calls[method, "RESOURCE_EXHAUSTED"]
    if method == "Recognize":
        assert refused > 0
        retries = prometheus.total('envoy_cluster_upstream_rq_retry{envoy_cluster_name="speech_to_text"}')
        assert attempts == through + retries


@pytest.mark.parametrize(
    ("method", "client"),
    [
        ("Classify", ".+"),
        ("ClassifySpeech", ".+"),
        ("StreamingRecognize", CLIENTS[1]),  # the others went past Envoy, or are classification's
        ("StreamingClassifySpeech", ".+"),
    ],
)
def test_callers_and_services_count_the_same_bytes(watched: Watched, method: str, client: str) -> None:
    chosen = f'{{method="{method}",client=~"{client}"}}'
    prometheus, ledger = watched.prometheus, watched.ledger
    assert prometheus.total(f"earshot_received_bytes_total{chosen}") == ledger.sent_bytes[method]
    assert prometheus.total(f"earshot_sent_bytes_total{chosen}") == ledger.received_bytes[method]


@pytest.mark.parametrize("method", METHODS)
def test_the_wire_s_bytes_are_the_messages_and_framing(watched: Watched, method: str) -> None:
    """What classification sends to hear is what it was sent, the labels apart."""
    ledger, inner = watched.ledger, HEARD_FOR.get(method, "")
    service = "SpeechToText" if inner else "ZeroShotClassifier"
    wire = f'envoy_earshot_edge_wire_bytes_received{{route="{service}.{method}"}}'
    bytes_ = ledger.sent_bytes[method] + ledger.sent_bytes[inner]
    # HTTP/2's headers, which the second call on a connection does not repeat: below 1 KiB a call; gRPC's and
    # HTTP/2's frames: below 64 bytes a message, and 9 for each 16 KiB of it.
    framing = 1024 * _through_envoy(ledger, method)
    framing += 64 * (ledger.messages[method] + ledger.messages[inner]) + bytes_ // 1024
    labels = 128 * ledger.of(inner)
    assert bytes_ - labels < watched.prometheus.total(wire) < bytes_ + framing


def test_clients_have_figures_of_their_own(watched: Watched) -> None:
    by_client = watched.prometheus.by("client", "sum by (client) (earshot_characters_total)")
    assert by_client.keys() == {*CLIENTS, "other"}
    assert by_client["app"] > 0


def test_the_stages_are_the_whole(watched: Watched) -> None:
    """Of a stream they are not: it waits for its caller to speak."""
    for method in UNARY:
        stages = watched.prometheus.total(f'earshot_stage_seconds_sum{{method="{method}"}}')
        whole = watched.prometheus.total(f'earshot_request_seconds_sum{{method="{method}"}}')
        calls = watched.prometheus.total(f'earshot_request_seconds_count{{method="{method}"}}')
        # Between stages lies what costs next to nothing: 2 ms, where other programs have the processor.
        assert 0.95 * whole - 0.002 * calls <= stages <= whole, method


def test_trouble_shows(watched: Watched) -> None:
    prometheus = watched.prometheus
    assert prometheus.total('earshot_worker_restarts_total{pool="engines"}') == 1
    assert prometheus.total("earshot_rejected_total") > 0
    assert prometheus.total("earshot_silence_skipped_seconds_total") > 0
    saved = prometheus.by(
        "codec",
        "1 - sum by (codec) (earshot_audio_bytes_total) / sum by (codec) (earshot_decoded_bytes_total)",
    )
    assert saved["ogg_opus"] > 0.8
    assert saved["linear16"] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("trace", "method", "heard"),
    [
        (CALL, "ZeroShotClassifier/ClassifySpeech", "SpeechToText/Recognize"),
        (STREAM, "ZeroShotClassifier/StreamingClassifySpeech", "SpeechToText/StreamingRecognize"),
    ],
)
def test_one_trace_leads_from_the_caller_to_the_engine(
    watched: Watched, trace: str, method: str, heard: str
) -> None:
    """Envoy stands before each service, with a span for the call and one for each attempt."""
    end = time.monotonic() + PATIENCE
    while (path := _path(watched.collector, trace)) is None and time.monotonic() < end:
        time.sleep(0.2)  # spans come in batches, each service's and Envoy's in its own time
    assert path == [
        ("earshot-stt", "inference"),
        ("earshot-stt", heard),
        ("earshot-envoy", "attempt"),
        ("earshot-envoy", heard.replace("/", ".")),
        ("earshot-classification", method),
        ("earshot-envoy", "attempt"),
        ("earshot-envoy", method.replace("/", ".")),
    ]


def _path(collector: Collector, trace: str) -> list[tuple[str, str]] | None:
    """From an engine's work up to the caller's own span; None: some have not come yet."""
    spans = {span.span_id.hex(): (of, span) for of, span in collector.all() if span.trace_id.hex() == trace}
    at = next((one for one, (_, span) in spans.items() if span.name == "inference"), "")
    path = []
    while at != CALLER:
        if at not in spans:
            return None
        service, span = spans[at]
        path.append((service, span.name))
        at = span.parent_span_id.hex()
    return path


def test_a_call_keeps_its_caller_s_id_where_it_is_traced(watched: Watched) -> None:
    ids = {
        attribute.value.string_value
        for _, span in watched.collector.all()
        for attribute in span.attributes
        if span.trace_id.hex() == CALL and attribute.key in {"earshot.request_id", "guid:x-request-id"}
    }
    assert ids == {"as the caller has it"}


def test_figures_lead_to_the_traces_of_calls(watched: Watched) -> None:
    assert watched.prometheus.exemplars("earshot_request_seconds_bucket") == {CALL, STREAM}


def test_what_nobody_wants_traced_is_not(watched: Watched) -> None:
    assert {span.trace_id.hex() for _, span in watched.collector.all()} == {CALL, STREAM}


def test_the_stack_says_where_its_prometheus_is(watched: Watched) -> None:
    said = "".join(watched.whole.announced)
    assert f"Prometheus: {watched.prometheus.url}" in said


def test_no_log_holds_what_was_said(watched: Watched) -> None:
    text = "".join(path.read_text(errors="replace") for path in Path(watched.whole.state, "logs").iterdir())
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line for line in lines if line.get("event") == "call" and line["codec"] == "ogg_opus"]
    for word in ("printed", "minute", "boil", "sport", "cooking", "printing"):
        assert word not in text


async def test_top_shows_the_calls_of_the_moment(watched: Watched) -> None:
    state = str(watched.whole.state)
    command = (sys.executable, "-m", "earshot.cli", "top", "--state", state, "--interval", "1", "--json")
    top = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    shown = asyncio.ensure_future(top.communicate())
    async with grpc.aio.insecure_channel(watched.whole.target) as channel:
        callers = Callers(channel, [], Ledger())
        (text,) = [one for one in requests() if isinstance(one, ClassifyRequest) and one.inputs]
        while not shown.done():  # whenever it looks, there are calls
            await callers.call(text, "app")
    frame = json.loads((await shown)[0])
    rates = {(one["service"], one["method"]): one["rate"] for one in frame["methods"]}
    assert rates["classification", "Classify"] > 0
    assert {one["replica"] for one in frame["replicas"]} == {"stt-1", "stt-2", "classification-1"}


def test_top_prints_a_frame(watched: Watched) -> None:
    shown = earshot("top", "--state", str(watched.whole.state), "--interval", "0.5", "--once")
    assert shown.returncode == 0, shown.stderr
    assert "\nstt-2\t" in shown.stdout
