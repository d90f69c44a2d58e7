"""Recording rules: objectives, and how fast each one's error budget burns.

A budget is the share of calls that may miss their objective. Burning at 1 uses it up in the objective's
30 days; the alerts look at two windows each, as the Site Reliability Workbook has it (Google 2018,
chapter 5, "Multiwindow, multi-burn-rate alerts").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from monitoring.alerts import alerts
from monitoring.selectors import FAULT_NUMBERS, by_component

WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Objective:
    """What is promised: ``target`` of all calls are as they should be."""

    name: str
    target: float  # share of calls, 0 to 1
    missed: Callable[[str], str]  # share of calls that were not, as PromQL over a window

    def burn(self, window: str) -> Rule:
        """The rule of one window."""
        return {
            "record": f"earshot:error_budget_burn:rate{window}",
            "expr": f"{self.missed(window)} / {round(1 - self.target, 6)}",
            "labels": {"objective": self.name},
        }


def _unavailable(window: str) -> str:
    """As callers saw it, retries and calls that reached no replica included; not what a quota has ended."""
    by, and_by = "sum by (namespace, envoy_cluster_name)", "sum by (namespace, component)"
    calls = f"{and_by} ({by_component(f'{by} (rate(envoy_cluster_grpc_total[{window}]))')})"
    faults = f'{by} (rate(envoy_cluster_grpc{{grpc_code=~"{FAULT_NUMBERS}"}}[{window}]))'
    failed = f"{and_by} ({by_component(faults)})"
    over = f"{and_by} (rate(earshot_quota_refused_total[{window}]))"
    return f"(clamp_min(({failed} or 0 * {calls}) - ({over} or 0 * {calls}), 0) / ({calls} > 0))"


def _over(metric: str, selector: str, limit: str) -> Callable[[str], str]:
    """The share of what a histogram has seen that lies above a bucket's limit."""

    def missed(window: str) -> str:
        by = "sum by (namespace, component)"
        within = f'{by} (rate({metric}_bucket{{{selector}le="{limit}"}}[{window}]))'
        seen = f"{by} (rate({metric}_count{{{selector.removesuffix(',')}}}[{window}]))"
        return f"(1 - {within} / ({seen} > 0))"

    return missed


OBJECTIVES: Final = (
    Objective("availability", 0.999, _unavailable),
    Objective("texts within 1 s", 0.99, _over("earshot_request_seconds", 'method="Classify",', "1.0")),
    Objective("speech as fast as it is spoken", 0.99, _over("earshot_real_time_factor", "", "1.0")),
)


def groups() -> dict[str, Any]:
    """The whole rules file."""
    burns = [objective.burn(window) for window in WINDOWS for objective in OBJECTIVES]
    return {
        "groups": [
            {"name": "earshot-objectives", "rules": burns},
            {"name": "earshot-alerts", "rules": alerts()},
        ]
    }
