"""*Service*: are callers well? Objectives, rate, errors, duration, room."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from monitoring.panels import About, Limits, Panel, Query, board, heat, lines, numbers
from monitoring.selectors import CALLS, PODS, REPLICAS, quantile, rate, total

_BURN = "earshot:error_budget_burn:rate"
_SECONDS = "earshot_request_seconds"
_BY_METHOD = "component, method"


def service() -> Dashboard:
    """The dashboard to look at first."""
    rows = [
        ("Objectives", _objectives()),
        ("Rate, errors, duration", _calls()),
        ("Room", _room()),
        ("Quotas and costs", _quotas()),
        ("Bandwidth", _bandwidth()),
    ]
    return board("earshot-service", "Earshot / Service", "Are callers well?", rows, by_client=True)


def _objectives() -> list[Panel]:
    here = 'namespace=~"$namespace",component=~"$service"'
    burning = "EarshotErrorBudgetBurnsFast"
    return [
        numbers(
            About(
                "Error budget burn",
                "How fast a month's error budget is used up, over one hour: at 1 it lasts the month.",
                "short",
                Limits(1, 14.4),
                burning,
            ),
            Query(f"{_BURN}1h{{{here}}}", "{{component}}: {{objective}}"),
        ),
        lines(
            About("Burn over 5 minutes", "The same, sooner.", "short", Limits(1, 14.4), burning),
            Query(f"{_BURN}5m{{{here}}}", "{{component}}: {{objective}}"),
        ),
        numbers(
            About(
                "Ready replicas",
                "Replicas that say that they serve.",
                "short",
                Limits(2, 1),
                "EarshotNoReadyReplica",
            ),
            Query(total("earshot_ready", REPLICAS, "component"), "{{component}}"),
        ),
    ]


def _calls() -> list[Panel]:
    calls = rate("earshot_requests_total", CALLS, _BY_METHOD)
    failed = f'{CALLS},code!="OK"'
    clients = rate("earshot_requests_total", CALLS, "component, client")
    share = f"{rate('earshot_requests_total', failed, 'component, client')} / ({clients} > 0)"
    return [
        lines(
            About("Calls", "Calls answered, whatever the answer.", "reqps"),
            Query(calls, "{{component}} {{method}}"),
        ),
        lines(
            About("Errors", "Calls answered with an error, by status.", "reqps"),
            Query(rate("earshot_requests_total", failed, "component, code"), "{{component}} {{code}}"),
        ),
        lines(
            About(
                "Errors by client",
                "Share of each client's calls that end with an error.",
                "percentunit",
                Limits(0.05, 0.5),
                "EarshotClientFails",
            ),
            Query(share, "{{component}} {{client}}"),
        ),
        lines(
            About("Duration", "From a call's arrival at the replica to its end; 95 of 100 take less.", "s"),
            Query(quantile(0.95, _SECONDS, CALLS, _BY_METHOD), "{{component}} {{method}}", exemplars=True),
        ),
        heat(
            About("Duration, all calls", "How many calls took how long.", "s"),
            rate(f"{_SECONDS}_bucket", CALLS, "le"),
        ),
        lines(
            About("First byte", "From a call's arrival to the first byte of its answer.", "s"),
            Query(
                quantile(0.95, "earshot_first_response_seconds", REPLICAS, _BY_METHOD),
                "{{component}} {{method}}",
            ),
        ),
        lines(About("Calls by client", "Who calls.", "reqps"), Query(clients, "{{component}} {{client}}")),
    ]


def _room() -> list[Panel]:
    by_pool = "component, pool"
    busy = rate("earshot_worker_busy_seconds_total", REPLICAS, by_pool)
    workers = total("earshot_workers", REPLICAS, by_pool)
    waiting = f'{REPLICAS},stage="queue"'
    return [
        lines(
            About(
                "Workers at work",
                "Share of their time that workers are at work; near 100 % calls wait.",
                "percentunit",
                Limits(0.7, 0.9),
            ),
            Query(f"{busy} / ({workers} > 0)", "{{component}} {{pool}}"),
        ),
        lines(
            About("Queue", "Jobs that wait for a worker.", "short", alert="EarshotQueueGrows"),
            Query(total("earshot_queue_depth", REPLICAS, by_pool), "{{component}} {{pool}}"),
        ),
        lines(
            About("Wait in the queue", "95 of 100 calls wait for less.", "s", Limits(1, 5)),
            Query(quantile(0.95, "earshot_stage_seconds", waiting, _BY_METHOD), "{{component}} {{method}}"),
        ),
        lines(
            About("In flight", "Calls being answered.", "short"),
            Query(total("earshot_requests_in_flight", REPLICAS, _BY_METHOD), "{{component}} {{method}}"),
        ),
        lines(
            About(
                "Turned away",
                "Calls refused for lack of room; Envoy then asks another replica.",
                "reqps",
                Limits(0.01, 0.1),
                "EarshotTurnsCallsAway",
            ),
            Query(rate("earshot_rejected_total", REPLICAS, "component, reason"), "{{component}} {{reason}}"),
        ),
        lines(
            About(
                "Worker deaths",
                "Workers that died, over 10 minutes.",
                "short",
                Limits(1, 3),
                "EarshotWorkersRestart",
            ),
            Query(
                f"sum by (component, pod, pool) (increase(earshot_worker_restarts_total{{{REPLICAS}}}[10m]))",
                "{{pod}} {{pool}}",
            ),
        ),
    ]


def _quotas() -> list[Panel]:
    hourly = f"3600 * {rate('earshot_cost_total', CALLS, 'client')}"
    refused = rate("earshot_quota_refused_total", CALLS, "client, quota")
    return [
        lines(
            About("Cost", "By the table of prices, an hour at this pace.", "short", alert="EarshotCostJumps"),
            Query(hourly, "{{client}}"),
        ),
        lines(
            About(
                "Refused by quota",
                "Calls and streams that a quota has ended.",
                "reqps",
                alert="EarshotQuotaUsedUp",
            ),
            Query(refused, "{{client}} {{quota}}"),
        ),
        lines(
            About(
                "Unchecked",
                "Checks and bills that came while the store of quotas was away, and what became of them.",
                "reqps",
                Limits(0.001, 0.1),
                "EarshotQuotasUnchecked",
            ),
            Query(
                rate("earshot_quota_unchecked_total", REPLICAS, "component, outcome"),
                "{{component}} {{outcome}}",
            ),
        ),
        lines(
            About("Billed audio", "Seconds of audio that were answered, a second.", "short"),
            Query(rate("earshot_billed_total", f'{CALLS},unit="audio_seconds"', "client"), "{{client}}"),
        ),
        lines(
            About("Billed texts", "Characters that were answered, a second.", "short"),
            Query(rate("earshot_billed_total", f'{CALLS},unit="characters"', "client"), "{{client}}"),
        ),
        numbers(
            About(
                "Store of quotas",
                "1 where all replicas reached it when they last asked.",
                "short",
                Limits(1, 0.5),
                "EarshotQuotasUnchecked",
            ),
            Query(f"min(earshot_quota_store_up{{{REPLICAS}}})", "store"),
        ),
    ]


def _bandwidth() -> list[Panel]:
    return [
        lines(
            About("Received", "Request messages, as encoded.", "Bps"),
            Query(rate("earshot_received_bytes_total", CALLS, _BY_METHOD), "{{component}} {{method}}"),
        ),
        lines(
            About("Sent", "Response messages, as encoded.", "Bps"),
            Query(rate("earshot_sent_bytes_total", CALLS, _BY_METHOD), "{{component}} {{method}}"),
        ),
        lines(
            About("On the wire", "Between callers and Envoy, headers included; counted as calls end.", "Bps"),
            Query(rate("envoy_earshot_edge_wire_bytes_received", PODS, "route"), "received {{route}}"),
            Query(rate("envoy_earshot_edge_wire_bytes_sent", PODS, "route"), "sent {{route}}"),
        ),
    ]
