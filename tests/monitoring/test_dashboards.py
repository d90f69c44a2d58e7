"""The dashboards as files: complete, legible, and of metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from earshot.runtime.catalog import OURS, Kind
from tests.chart.helm import documents, find
from tests.monitoring import dashboards
from tests.monitoring.test_rules import RULES, RUNBOOKS

DOCS = Path(__file__).resolve().parents[2] / "docs"
EVERY = pytest.mark.parametrize("path", dashboards.FILES, ids=lambda path: path.stem)
# Metrics of others that these dashboards may name; a real stack shows that Envoy's exist.
FOREIGN = re.compile(r"envoy_\w+|kube_horizontalpodautoscaler_\w+|earshot:error_budget_burn:rate\w+")
WORDS = re.compile(r"[a-z_:]*(?:earshot|envoy|kube)[a-z_:0-9]+")


def test_there_are_three() -> None:
    assert [path.stem for path in dashboards.FILES] == ["data-plane", "service", "speech"]


@EVERY
def test_grafana_s_own_model_reads_it(path: Path) -> None:
    read = Dashboard.from_json(dashboards.read(path))
    assert dashboards.accepted(dashboards.read(path))
    assert read.uid == f"earshot-{path.stem}"
    assert read.panels is not None
    assert len(read.panels) > 8


@EVERY
def test_every_panel_says_what_it_shows(path: Path) -> None:
    shown = dashboards.panels(path)
    for panel in shown:
        heat = panel["type"] == "heatmap"
        unit = panel["options"]["yAxis"]["unit"] if heat else panel["fieldConfig"]["defaults"]["unit"]
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert unit
        assert all(target["legendFormat"] for target in panel["targets"])
    assert len({panel["title"] for panel in shown}) == len(shown)
    assert len({panel["id"] for panel in dashboards.read(path)["panels"]}) == len(
        dashboards.read(path)["panels"]
    )


def test_how_long_calls_take_leads_to_traces() -> None:
    every = [panel for path in dashboards.FILES for panel in dashboards.panels(path)]
    (duration,) = [panel for panel in every if panel["title"] == "Duration"]
    assert [target["exemplar"] for target in duration["targets"]] == [True]


@EVERY
def test_panels_do_not_overlap(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboards.read(path)["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + across, place["y"] + down)
            for across in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@EVERY
def test_it_has_the_variables_links_and_annotations(path: Path) -> None:
    content = dashboards.read(path)
    names = [variable["name"] for variable in content["templating"]["list"]]
    assert names[:4] == ["datasource", "namespace", "release", "service"]
    assert ("client" in names) == (path.stem != "data-plane")
    assert [link["type"] for link in content["links"]] == ["dashboards", "link"]
    assert {one["name"] for one in content["annotations"]["list"]} == {"Deployments", "Scaling"}


def test_links_lead_to_sections_of_the_runbooks() -> None:
    sections = {
        title.lower() for title in re.findall(r"^#+ (\w+)$", RUNBOOKS.read_text("utf-8"), re.MULTILINE)
    }
    texts = [path.read_text("utf-8") for path in (*dashboards.FILES, RULES)]
    linked = {one for text in texts for one in re.findall(r"docs/runbooks\.md#([\w-]+)", text)}
    assert linked
    assert linked <= sections


def _known() -> set[str]:
    endings = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
    return {spec.exposed + ending for spec in OURS for ending in endings.get(spec.kind, ("",))}


def test_every_metric_that_is_asked_for_exists() -> None:
    queries = [one.expr for one in dashboards.asked()] + [query for *_, query in dashboards.variables()]
    named = {word for query in queries for word in WORDS.findall(query)}
    unknown = {word for word in named - _known() if not FOREIGN.fullmatch(word)}
    assert not unknown - {"envoy_cluster_name", "envoy_http_conn_manager_prefix"}


@pytest.mark.parametrize("runbooks", ["docs/runbooks.md", "https://wiki.example/runbooks"])
def test_the_chart_carries_them(runbooks: str) -> None:
    values: dict[str, Any] = {
        "monitoring": {"dashboards": {"enabled": True}, "rules": {"enabled": True}, "runbooks": runbooks}
    }
    made = documents(values)
    config = find(made, "ConfigMap", "earshot-dashboards")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["data"].keys() == {path.name for path in dashboards.FILES}
    for path in dashboards.FILES:
        expected = path.read_text("utf-8").replace("docs/runbooks.md#", f"{runbooks}#")
        assert json.loads(config["data"][path.name]) == json.loads(expected)
    rules = find(made, "PrometheusRule", "earshot-rules")["spec"]["groups"]
    assert rules[1]["rules"][0]["annotations"]["runbook_url"].startswith(f"{runbooks}#")


def test_the_config_map_is_small_enough() -> None:
    """Kubernetes takes a mebibyte (and an annotation of 256 KiB, which `kubectl apply` makes of it)."""
    assert sum(path.stat().st_size for path in dashboards.FILES) < 200 * 1024


@EVERY
def test_its_picture_is_in_the_docs(path: Path) -> None:
    """Drawn by docs/draw.py, and light enough for a page of three."""
    picture = DOCS / "dashboards" / f"{path.stem}.png"
    assert f"](dashboards/{picture.name})" in (DOCS / "dashboards.md").read_text("utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300 * 1000
