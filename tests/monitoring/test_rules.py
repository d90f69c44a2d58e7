"""Rules and alerts, by promtool; and that each alert says what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.asking import filled_in
from tests.monitoring.dashboards import asked

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "deploy" / "prometheus" / "rules.yaml"
CASES = Path(__file__).with_name("alerts.yaml")
RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _alerts() -> dict[str, dict[str, Any]]:
    rules = [rule for group in _read(RULES)["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def _promtool(*arguments: str) -> None:
    if shutil.which("promtool") is None:
        pytest.fail("promtool is not on the PATH: `shared/cluster/cluster tools` puts it there")
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_rules_are_well_formed() -> None:
    _promtool("check", "rules", "--lint-fatal", str(RULES))


def test_each_alert_fires_where_it_should() -> None:
    _promtool("test", "rules", str(CASES))


def test_no_other_alert_fires_beside_it(tmp_path: Path) -> None:
    cases = _read(CASES)
    cases["rule_files"] = [str(RULES)]
    for case in cases["tests"]:
        checks = case.pop("alert_rule_test")
        case["promql_expr_test"] = [_firing(checks, at) for at in {one["eval_time"] for one in checks}]
    made = tmp_path / "alone.yaml"
    made.write_text(yaml.safe_dump(cases), encoding="utf-8")
    _promtool("test", "rules", str(made))


def _firing(checks: list[dict[str, Any]], at: str) -> dict[str, Any]:
    """That at this time those alerts fire which the case names, and none beside them."""
    names = [one["alertname"] for one in checks if one["eval_time"] == at and one["exp_alerts"]]
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    return {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": samples,
    }


def test_dashboards_mark_deployments_and_scaling(tmp_path: Path) -> None:
    """A version that is rolled out, a replica more, and all of them gone."""
    where = 'namespace="n",component="stt"'
    series = {
        f'earshot_build_info{{{where},pod="earshot-stt-a",version="1"}}': "1x20 _x20",
        f'earshot_build_info{{{where},pod="earshot-stt-b",version="2"}}': "_x10 1x30",
        f'earshot_ready{{{where},pod="earshot-stt-a"}}': "1x30 0x10",
        f'earshot_ready{{{where},pod="earshot-stt-b"}}': "0x20 1x9 0x10",
    }
    exprs = {one.title: filled_in(one.expr) for one in asked() if one.title.startswith("annotation")}
    deployed, scaled = exprs["annotation Deployments"], exprs["annotation Scaling"]
    seen = {
        ("9m", deployed): {},
        ("10m", deployed): {'{version="2"}': 1},
        ("12m", deployed): {},
        ("19m", scaled): {},
        ("21m", scaled): {'{component="stt"}': 1},
        ("31m", scaled): {'{component="stt"}': 2},
        ("33m", scaled): {},
    }
    checks = [
        {
            "expr": expr,
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for (at, expr), samples in seen.items()
    ]
    case = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": checks,
    }
    made = tmp_path / "annotations.yaml"
    made.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}), encoding="utf-8")
    _promtool("test", "rules", str(made))


def test_each_alert_has_a_case_that_makes_it_fire() -> None:
    fired = {
        one["alertname"]
        for case in _read(CASES)["tests"]
        for one in case["alert_rule_test"]
        if one["exp_alerts"]
    }
    assert fired == _alerts().keys()


def test_each_alert_has_its_section_in_the_runbooks() -> None:
    text = RUNBOOKS.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(_alerts())
    for name, rule in _alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        assert re.search(r"^Look: ", sections[name], re.MULTILINE)
        assert re.search(r"^Do: ", sections[name], re.MULTILINE)
