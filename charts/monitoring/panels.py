"""Panels and dashboards in one style: a title, what it means, a unit, and where to read on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heat_options
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.alerts import RUNBOOKS
from monitoring.selectors import PODS, REPLICAS

Panel = timeseries.Panel | heatmap.Panel | stat.Panel
PanelT = TypeVar("PanelT", timeseries.Panel, heatmap.Panel, stat.Panel)

TAG: Final = "earshot"
SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED = "green", "yellow", "red"
_HEIGHT: Final = 8  # of 24 columns' rows
_WIDTH: Final = 8  # three beside each other


@dataclass(frozen=True, slots=True)
class Query:
    """A query, and what stands beside each of its lines."""

    expr: str
    legend: str
    exemplars: bool = False  # calls among those counted, each with its trace


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a value is a warning, and from where on it is bad; below ``warn`` it is good."""

    warn: float
    bad: float

    def thresholds(self) -> dashboard.ThresholdsConfig:
        """The same as Grafana has it; where ``bad`` is the lower one, less is worse."""
        if self.bad < self.warn:
            colours = ((RED, None), (YELLOW, self.bad), (GREEN, self.warn))
        else:
            colours = ((GREEN, None), (YELLOW, self.warn), (RED, self.bad))
        steps = [models.Threshold(color=colour, value=value) for colour, value in colours]
        return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


@dataclass(frozen=True, slots=True)
class About:
    """What every panel says of itself."""

    title: str
    meaning: str
    unit: str  # by Grafana's names: s, bytes, Bps, reqps, percentunit, short
    limits: Limits | None = None
    alert: str = ""  # the alert that watches the same: a link to its runbook


def lines(about: About, *queries: Query, stacked: bool = False) -> timeseries.Panel:
    """Values over time, from zero."""
    panel = (
        timeseries.Panel().min(0).fill_opacity(30 if stacked else 8).show_points(options.VisibilityMode.NEVER)
    )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.TABLE)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["mean", "max", "lastNotNull"])
    )
    panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if about.limits:
        dashed = options.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(dashed))
    return _filled(panel.span(_WIDTH), about, queries)


def numbers(about: About, *queries: Query) -> stat.Panel:
    """The latest value of each query, large."""
    calc = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().reduce_options(calc).graph_mode(options.BigValueGraphMode.AREA)
    return _filled(panel.text_mode(options.BigValueTextMode.VALUE_AND_NAME).span(_WIDTH), about, queries)


def heat(about: About, expr: str) -> heatmap.Panel:
    """A histogram over time; ``expr`` gives its buckets by ``le``."""
    panel = heatmap.Panel().calculate(False).show_legend().span(_WIDTH)
    panel.y_axis(heatmap.YAxisConfig().unit(about.unit))
    panel.color(
        heatmap.HeatmapColorOptions().mode(heat_options.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
    )
    target = prometheus.Dataquery().expr(expr).format(PromQueryFormat.HEATMAP).legend_format("{{le}}")
    return _described(panel.with_target(target.datasource(SOURCE).ref_id("A")), about)


def _filled(panel: PanelT, about: About, queries: Sequence[Query]) -> PanelT:
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()
        if query.exemplars:
            target.exemplar(True)
        panel.with_target(target.datasource(SOURCE).ref_id(chr(ord("A") + number)))
    panel.unit(about.unit)
    if about.limits:
        panel.thresholds(about.limits.thresholds())
    return _described(panel, about)


def _described(panel: PanelT, about: About) -> PanelT:
    panel.title(about.title).description(about.meaning).datasource(SOURCE).height(_HEIGHT)
    if about.alert:
        link = dashboard.DashboardLink(f"Runbook: {about.alert}")
        panel.links([link.type(models.DashboardLinkType.LINK).url(f"{RUNBOOKS}#{about.alert.lower()}")])
    return panel


def board(
    uid: str, title: str, meaning: str, rows: Sequence[tuple[str, Sequence[Panel]]], *, by_client: bool
) -> dashboard.Dashboard:
    """A dashboard of rows, with the variables, links and annotations that all of them have."""
    made = dashboard.Dashboard(title).uid(uid).description(meaning).tags([TAG]).refresh("30s")
    made.time("now-1h", "now").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR).editable()
    for variable in _variables(by_client):
        made.with_variable(variable)
    others = dashboard.DashboardLink("Earshot").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    made.link(others.as_dropdown(True).include_vars(True).keep_time(True))
    made.link(
        dashboard.DashboardLink("Runbooks").type(models.DashboardLinkType.LINK).url(f"{RUNBOOKS}#runbooks")
    )
    for annotation in _annotations():
        made.annotation(annotation)
    numbered = count(1)
    for name, panels in rows:
        made.with_row(dashboard.Row(name).id(next(numbered)))
        for panel in panels:
            made.with_panel(panel.id(next(numbered)))
    return made


def _variables(by_client: bool) -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    release = _variable("release", 'label_values(earshot_ready{namespace=~"$namespace"}, pod)')
    release.regex("/(.+)-(?:stt|classification)-.+/")
    variables = [
        source,
        _variable("namespace", "label_values(earshot_ready, namespace)"),
        release,
        _variable("service", f"label_values(earshot_ready{{{PODS}}}, component)"),
    ]
    if by_client:
        variables.append(_variable("client", f"label_values(earshot_requests_total{{{REPLICAS}}}, client)"))
    return variables


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(name.capitalize()).query(query).datasource(SOURCE)
    variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    every = models.VariableOption(text="All", value="$__all")
    return variable.multi(True).include_all(True).all_value(".+").current(every)


def _annotations() -> list[dashboard.AnnotationQuery]:
    seen = f"count by (version) (earshot_build_info{{{PODS}}})"
    ready = f"sum by (component) (earshot_ready{{{PODS}}})"
    return [
        _annotation("Deployments", "blue", f"{seen} unless {seen[:-1]} offset 1m)"),
        # By how many: Grafana shows what is not 0, and a service may have gone down to none.
        _annotation("Scaling", "purple", f"abs({ready} - {ready[:-1]} offset 1m)) > 0"),
    ]


def _annotation(name: str, colour: str, expr: str) -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour)
    return made.expr(expr)
