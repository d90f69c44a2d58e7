"""Alerts. Each has a section in docs/runbooks.md that says what to look at and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from monitoring.selectors import FAULT_CODES, NO_ERROR

RUNBOOKS: Final = "docs/runbooks.md"
_BURN: Final = "earshot:error_budget_burn:rate"
_WHERE: Final = "{{ $labels.component }} in {{ $labels.namespace }}"
_HPA: Final = 'horizontalpodautoscaler=~".*-(stt|classification|envoy)"'
_COST: Final = "sum by (namespace, client) (increase(earshot_cost_total"


@dataclass(frozen=True, slots=True)
class Alert:
    """When somebody is told, and of what."""

    name: str
    expr: str
    lasting: str  # how long it must be so
    severity: str  # page: now; ticket: on a working day
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        """Its section."""
        return f"{RUNBOOKS}#{self.name.lower()}"

    def rule(self) -> dict[str, Any]:
        """The same as Prometheus has it."""
        annotations = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": self.runbook,
        }
        labels = {"severity": self.severity}
        rule = {"alert": self.name, "expr": self.expr, "for": self.lasting}
        return rule | {"labels": labels, "annotations": annotations}


def _burning(long: str, short: str, factor: float) -> str:
    return f"({_BURN}{long} > {factor} and {_BURN}{short} > {factor})"


ALERTS: Final = (
    Alert(
        "EarshotErrorBudgetBurnsFast",
        f"{_burning('1h', '5m', 14.4)} or {_burning('6h', '30m', 6)}",
        "2m",
        "page",
        f"{_WHERE}: too many calls miss the objective {{{{ $labels.objective }}}}",
        "The error budget of 30 days burns {{ $value | humanize }} times as fast as it may.",
    ),
    Alert(
        "EarshotErrorBudgetBurnsSlowly",
        _burning("3d", "6h", 1),
        "1h",
        "ticket",
        f"{_WHERE}: calls have missed the objective {{{{ $labels.objective }}}} for days",
        "The error budget of 30 days burns {{ $value | humanize }} times as fast as it may.",
    ),
    Alert(
        "EarshotNoReadyReplica",
        'max by (namespace, envoy_cluster_name) (envoy_cluster_membership_healthy{envoy_cluster_name=~"'
        'speech_to_text|zero_shot_classifier"}) == 0',
        "1m",
        "page",
        "{{ $labels.envoy_cluster_name }} in {{ $labels.namespace }}: no replica serves",
        "Envoy finds no healthy replica, so every call fails with UNAVAILABLE.",
    ),
    Alert(
        "EarshotNoEdge",
        "max by (namespace) (earshot_ready) == 1 unless max by (namespace) (envoy_server_live == 1)",
        "1m",
        "page",
        "{{ $labels.namespace }}: no Envoy answers in front of replicas that are ready",
        "Nobody can reach the services, or Prometheus cannot reach Envoy.",
    ),
    Alert(
        "EarshotQueueGrows",
        "sum by (namespace, component, pool) (earshot_queue_depth) > "
        "2 * sum by (namespace, component, pool) (earshot_workers) and "
        "deriv(sum by (namespace, component, pool) (earshot_queue_depth)[5m:15s]) > 0",
        "2m",
        "ticket",
        f"{_WHERE}: more work comes than the {{{{ $labels.pool }}}} do",
        "{{ $value | humanize }} jobs wait, more than two for each worker, and it gets more.",
    ),
    Alert(
        "EarshotTurnsCallsAway",
        "sum by (namespace, component, reason) (rate(earshot_rejected_total[5m])) > 0.1",
        "5m",
        "page",
        f"{_WHERE}: full ({{{{ $labels.reason }}}})",
        "Replicas refuse {{ $value | humanize }} calls a second for lack of room.",
    ),
    Alert(
        "EarshotWorkersRestart",
        "sum by (namespace, component, pod, pool) (increase(earshot_worker_restarts_total[10m])) > 3",
        "0s",
        "page",
        "{{ $labels.pod }} in {{ $labels.namespace }}: {{ $labels.pool }} die again and again",
        "{{ $value | humanize }} deaths in 10 minutes; each loses a copy of the model, and time.",
    ),
    Alert(
        "EarshotWorkersMissing",
        "sum by (namespace, component, pod, pool) (earshot_workers_ready) < "
        "sum by (namespace, component, pod, pool) (earshot_workers) "
        "unless on (namespace, pod) earshot_draining == 1",
        "5m",
        "ticket",
        "{{ $labels.pod }} in {{ $labels.namespace }}: fewer {{ $labels.pool }} than there should be",
        "{{ $value }} are ready.",
    ),
    Alert(
        "EarshotDrainsTooLong",
        "max by (namespace, component, pod) (earshot_draining) == 1",
        "5m",
        "ticket",
        "{{ $labels.pod }} in {{ $labels.namespace }}: still there 5 minutes after it was told to stop",
        "A drain takes drainSeconds and graceSeconds at most.",
    ),
    Alert(
        "EarshotClientFails",
        f'sum by (namespace, component, client) (rate(earshot_requests_total{{code!~"{NO_ERROR}|'
        f'{FAULT_CODES}"}}[10m])) > 0.5 * sum by (namespace, component, client) '
        "(rate(earshot_requests_total[10m])) and sum by (namespace, component, client) "
        "(increase(earshot_requests_total[10m])) > 20",
        "5m",
        "ticket",
        f"{_WHERE}: most calls of client {{{{ $labels.client }}}} are wrong",
        "{{ $value | humanize }} of its calls a second end with an error that is the caller's to mend.",
    ),
    Alert(
        "EarshotQuotasUnchecked",
        "sum by (namespace, component, outcome) (increase(earshot_quota_unchecked_total[5m])) > 0",
        "1m",
        "page",
        f"{_WHERE}: the store of quotas is away",
        "{{ $value | humanize }} checks and bills of 5 minutes could not be made: {{ $labels.outcome }}.",
    ),
    Alert(
        "EarshotQuotaUsedUp",
        "sum by (namespace, client, quota) (increase(earshot_quota_refused_total[1h])) > 20",
        "5m",
        "ticket",
        "{{ $labels.client }} in {{ $labels.namespace }}: has used up {{ $labels.quota }}",
        "{{ $value | humanize }} of its calls within an hour were refused.",
    ),
    Alert(
        "EarshotCostJumps",
        f"{_COST}[1h])) > 5 * {_COST}[1d] offset 1h)) / 24 and {_COST}[1h])) > 1",
        "10m",
        "ticket",
        "{{ $labels.client }} in {{ $labels.namespace }}: costs more than five times what it did",
        "{{ $value | humanize }} in the last hour, in the currency of the prices.",
    ),
    Alert(
        "EarshotCertificateExpires",
        "min by (namespace) (envoy_server_days_until_first_cert_expiring) < 14",
        "10m",
        "ticket",
        "{{ $labels.namespace }}: a certificate of Envoy's expires",
        "In {{ $value }} days callers, or Envoy and the replicas, can no longer trust it.",
    ),
    Alert(
        "EarshotAutoscalerAtItsLimit",
        f"kube_horizontalpodautoscaler_status_desired_replicas{{{_HPA}}} >= "
        f"kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}}",
        "15m",
        "ticket",
        "{{ $labels.horizontalpodautoscaler }} in {{ $labels.namespace }}: at its most pods",
        "It wants {{ $value }} pods and may not have more.",
    ),
)


def alerts() -> list[dict[str, Any]]:
    """All of them, as Prometheus has them."""
    return [alert.rule() for alert in ALERTS]
