"""Writes `dashboards/*.json` from the declarations below.

python deploy/grafana/generate.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

__all__ = ["documents"]

TARGET = Path(__file__).parent / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
_RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: queries by legend."""

    title: str
    unit: str
    queries: Mapping[str, str]


def _rates(metric: str, by: str, where: str = "", window: str = _RATE) -> str:
    return f"sum by ({by}) (rate({metric}{{{where}}}[{window}]))"


def _quantiles(metric: str, by: str, where: str = "") -> dict[str, str]:
    buckets = f"sum by (le, {by}) (rate({metric}_bucket{{{where}}}[{_RATE}]))"
    return {f"p{share} {{{{{by}}}}}": f"histogram_quantile(0.{share}, {buckets})" for share in (50, 99)}


_SERVICE = 'service="$service"'
_MODEL = 'model="$model"'
_OVERVIEW = [
    Panel("Requests", "reqps", {"{{service}}": f"sum by (service) (rate(scoring_request_seconds_count[{_RATE}]))"}),
    Panel(
        "Server errors",
        "percentunit",
        {
            "{{service}}": f'sum by (service) (rate(scoring_request_seconds_count{{status=~"5.."}}[{_RATE}]))'
            f" / sum by (service) (rate(scoring_request_seconds_count[{_RATE}]))"
        },
    ),
    Panel("Single score", "s", _quantiles("scoring_request_seconds", "service", 'route="/v1/score", status="200"')),
    Panel("Rows scored", "rowsps", {"{{model}}": f"sum by (model) (rate(scoring_predictions_total[{_RATE}]))"}),
    Panel(
        "Errors over an hour, of the service level", "percentunit", {"{{service}}": "scoring:request_errors:ratio1h"}
    ),
    Panel("Slow over an hour, of the service level", "percentunit", {"{{service}}": "scoring:request_slow:ratio1h"}),
    Panel("Targets up", "short", {"{{service}}": 'up{job="scoring"}'}),
    Panel("Memory", "bytes", {"{{service}} {{worker}}": "scoring_process_resident_bytes"}),
]
_ONE_SERVICE = [
    Panel(
        "Requests by route and status",
        "reqps",
        {"{{route}} {{status}}": _rates("scoring_request_seconds_count", "route, status", _SERVICE)},
    ),
    Panel("Single score", "s", _quantiles("scoring_request_seconds", "route", f'{_SERVICE}, route="/v1/score"')),
    Panel("Stages", "s", _quantiles("scoring_stage_seconds", "stage", _SERVICE)),
    Panel("In flight", "short", {"in flight": f"sum(scoring_requests_in_flight{{{_SERVICE}}})"}),
    Panel("Shed", "reqps", {"shed": f"sum(rate(scoring_requests_shed_total{{{_SERVICE}}}[{_RATE}]))"}),
    Panel(
        "Rows a batch",
        "short",
        {
            "mean": f"sum(rate(scoring_batch_rows_sum{{{_SERVICE}}}[{_RATE}]))"
            f" / sum(rate(scoring_batch_rows_count{{{_SERVICE}}}[{_RATE}]))"
        },
    ),
    Panel(
        "Requests by worker",
        "reqps",
        {"{{worker}}": f"sum by (worker) (rate(scoring_worker_requests_total{{{_SERVICE}}}[{_RATE}]))"},
    ),
    Panel("Dependencies", "short", {"{{dependency}}": f"min by (dependency) (scoring_dependency_up{{{_SERVICE}}})"}),
    Panel("Memory", "bytes", {"{{worker}}": f"scoring_process_resident_bytes{{{_SERVICE}}}"}),
    Panel("Age of process", "s", {"{{worker}}": f"time() - scoring_process_start_time_seconds{{{_SERVICE}}}"}),
]
_DRIFT = [
    Panel("PSI of features, one hour", "short", {"{{feature}} {{version}}": f"scoring:feature_psi:1h{{{_MODEL}}}"}),
    Panel("PSI of features, one day", "short", {"{{feature}} {{version}}": f"scoring:feature_psi:1d{{{_MODEL}}}"}),
    Panel(
        "PSI over its threshold, one hour",
        "short",
        {"{{feature}}": f"scoring:feature_psi:1h{{{_MODEL}}} / scoring:feature_psi_threshold:1h"},
    ),
    Panel("Jensen-Shannon, bits, one hour", "short", {"{{feature}}": f"scoring:feature_js_bits:1h{{{_MODEL}}}"}),
    Panel(
        "Predictions, one hour",
        "short",
        {
            "PSI {{version}}": f"scoring:prediction_psi:1h{{{_MODEL}}}",
            "threshold {{version}}": f"scoring:prediction_psi_threshold:1h{{{_MODEL}}}",
        },
    ),
    Panel(
        "Share by bin, now and in training",
        "percentunit",
        {
            "{{bin}} now": f"scoring:prediction_bin_share:1h{{{_MODEL}}}",
            "{{bin}} training": f"scoring:prediction_bin_reference:1h{{{_MODEL}}}",
        },
    ),
    Panel("Rows behind, one hour", "short", {"{{version}}": f"scoring:prediction_rows:increase1h{{{_MODEL}}}"}),
]
_LIVE = "sum by (model, version, alias) (scoring_model_info > 0)"
_REFUSED = "sum by (model, code) (increase(scoring_model_refusals_total[1h]))"
_LIFECYCLE = [
    Panel("Workers by version", "short", {"{{model}} {{version}} {{alias}}": _LIVE}),
    Panel(
        "Rows by version", "rowsps", {"{{model}} {{version}}": _rates("scoring_predictions_total", "model, version")}
    ),
    Panel("Swaps", "short", {"{{model}}": "sum by (model) (increase(scoring_model_swaps_total[1h]))"}),
    Panel("Refusals and roll-backs", "short", {"{{model}} {{code}}": _REFUSED}),
    Panel("Roll-backs", "short", {"{{model}}": "sum by (model) (increase(scoring_model_rollbacks_total[1h]))"}),
    Panel(
        "Artefact cache: looks",
        "short",
        {"{{service}} {{result}}": "sum by (service, result) (increase(scoring_artifact_cache_lookups_total[1h]))"},
    ),
    Panel("Artefact cache: size", "bytes", {"{{service}}": "max by (service) (scoring_artifact_cache_bytes)"}),
    Panel("Artefact cache: versions", "short", {"{{service}}": "max by (service) (scoring_artifact_cache_entries)"}),
    Panel(
        "Shadow rows without room",
        "short",
        {"{{model}}": "sum by (model) (increase(scoring_shadow_dropped_rows_total[1h]))"},
    ),
    Panel("Ready", "short", {"{{service}} {{worker}}": "scoring_model_ready"}),
    Panel("Predict by service", "s", _quantiles("scoring_stage_seconds", "service", 'stage="model"')),
]
_QUALITY = [
    Panel(
        "Missing values",
        "percentunit",
        {
            "{{feature}}": _rates("scoring_feature_cells_total", "model, feature", f'{_MODEL}, status="missing"')
            + " / on (model) group_left () "
            + _rates("scoring_predictions_total", "model")
        },
    ),
    Panel("Missing, beyond training", "percentunit", {"{{feature}}": f"scoring:feature_missing:excess1h{{{_MODEL}}}"}),
    Panel("Stale values, one hour", "percentunit", {"{{feature}}": f"scoring:feature_stale:ratio1h{{{_MODEL}}}"}),
    Panel("Age of features", "s", _quantiles("scoring_feature_age_seconds", "model", _MODEL)),
    Panel(
        "Degraded rows",
        "percentunit",
        {
            "{{version}}": f"sum by (version) (rate(scoring_degraded_rows_total{{{_MODEL}}}[{_RATE}]))"
            f" / sum by (version) (rate(scoring_predictions_total{{{_MODEL}}}[{_RATE}]))"
        },
    ),
    Panel("Unknown entities", "rowsps", {"{{version}}": _rates("scoring_unknown_rows_total", "version", _MODEL)}),
]
_LOG = [
    Panel("Rows logged", "rowsps", {"{{service}}": _rates("scoring_prediction_log_rows_total", "service")}),
    Panel(
        "Rows lost",
        "short",
        {
            "{{service}} {{reason}}": "sum by (service, reason) "
            "(increase(scoring_prediction_log_dropped_rows_total[1h]))"
        },
    ),
    Panel("Spools on disk", "bytes", {"{{service}}": "sum by (service) (scoring_prediction_log_spool_bytes)"}),
    Panel("Waiting in Redis", "bytes", {"{{service}}": "max by (service) (scoring_prediction_log_stream_bytes)"}),
    Panel(
        "Rows written", "rowsps", {"{{service}} {{kind}}": _rates("scoring_follow_written_rows_total", "service, kind")}
    ),
    Panel("Messages not yet written", "short", {"{{service}} {{kind}}": "scoring_follow_backlog_entries"}),
    Panel("Age of the oldest", "s", {"{{service}} {{kind}}": "scoring_follow_lag_seconds"}),
    Panel(
        "Rows that came twice",
        "short",
        {"{{service}} {{kind}}": "sum by (service, kind) (increase(scoring_follow_duplicate_rows_total[1h]))"},
    ),
    Panel(
        "Feedback",
        "rowsps",
        {
            "kept {{service}}": _rates("scoring_feedback_rows_total", "service"),
            "refused {{service}}": _rates("scoring_feedback_refused_rows_total", "service"),
        },
    ),
    Panel("Feedback on disk", "bytes", {"{{service}}": "sum by (service) (scoring_feedback_journal_bytes)"}),
]


_WATCHED = 'service=~"$watched"'
_OF = "{{service}} {{version}} {{metric}}"
_OWN_UNIT = 'metric=~"mae|rmse|interval_width"'
_NO_UNIT = 'metric!~"mae|rmse|interval_width"'
_REALISED = 'kind="realised", window="28d"'
_ESTIMATED = 'kind="estimated", window="7d"'


def _performance(part: str, where: str) -> str:
    return f"max by (service, version, metric) (scoring_performance_{part}{{{_WATCHED}, {where}}})"


_MODEL_QUALITY = [
    Panel("Realised over 28 days", "short", {_OF: _performance("figure", f"{_REALISED}, {_NO_UNIT}")}),
    Panel(
        "Realised over 28 days, in the output's unit",
        "short",
        {_OF: _performance("figure", f"{_REALISED}, {_OWN_UNIT}")},
    ),
    Panel("Estimated for 7 days", "short", {_OF: _performance("figure", f"{_ESTIMATED}, {_NO_UNIT}")}),
    Panel(
        "Estimated for 7 days, in the output's unit",
        "short",
        {_OF: _performance("figure", f"{_ESTIMATED}, {_OWN_UNIT}")},
    ),
    Panel(
        "Realised beyond estimated, in standard errors",
        "short",
        {_OF: f"abs(scoring:performance_surprise:28d{{{_WATCHED}}})"},
    ),
    Panel(
        "Realised, of its gate",
        "percentunit",
        {
            f"{_OF} {{{{side}}}}": _performance("figure", _REALISED)
            + " / on (service, version, metric) group_right () "
            + f"max by (service, version, metric, side) (scoring_performance_gate{{{_WATCHED}}})"
        },
    ),
    Panel(
        "Coverage of intervals",
        "percentunit",
        {
            "{{service}} {{version}}": _performance("figure", f'{_REALISED}, metric="coverage"'),
            "{{service}} {{version}} at least": _performance("lower", f'{_REALISED}, metric="coverage"'),
            "{{service}} {{version}} at most": _performance("upper", f'{_REALISED}, metric="coverage"'),
            "{{service}} nominal": f"max by (service) (scoring_performance_nominal_coverage{{{_WATCHED}}})",
        },
    ),
    Panel(
        "Calibration error",
        "percentunit",
        {
            "{{service}} {{version}}": _performance("figure", f'{_REALISED}, metric="calibration_error"'),
            "{{service}} {{version}} of a perfect model": _performance("noise", 'window="28d"'),
        },
    ),
    Panel(
        "Rows and outcomes of 28 days",
        "short",
        {
            "{{service}} {{version}} rows": "max by (service, version) "
            f'(scoring_performance_rows{{{_WATCHED}, window="28d"}})',
            "{{service}} {{version}} outcomes": "max by (service, version) "
            f'(scoring_performance_labels{{{_WATCHED}, window="28d"}})',
        },
    ),
    Panel(
        "From prediction to outcome",
        "s",
        {
            "{{service}} {{version}} p{{quantile}}": "max by (service, version, quantile) "
            f'(scoring_label_lag_seconds{{{_WATCHED}, window="28d"}})'
        },
    ),
    Panel(
        "Since the last outcome",
        "s",
        {"{{service}}": f"time() - max by (service) (scoring_label_awaited_since_timestamp_seconds{{{_WATCHED}}})"},
    ),
    Panel("Age of the figures", "s", {"figures": "time() - max(scoring_performance_made_timestamp_seconds)"}),
]
_DASHBOARDS: Mapping[str, tuple[str, str | None, Sequence[Panel]]] = {
    "overview": ("Overview", None, _OVERVIEW),
    "service": ("One service", "service", _ONE_SERVICE),
    "drift": ("Drift", "model", _DRIFT),
    "lifecycle": ("Model lifecycle", None, _LIFECYCLE),
    "quality": ("Data quality", "model", _QUALITY),
    "log": ("Prediction log", None, _LOG),
    "performance": ("Model quality over time", "watched", _MODEL_QUALITY),
}
_VALUES = {
    "service": "label_values(scoring_model_ready, service)",
    "model": "label_values(scoring_model_info, model)",
    "watched": "label_values(scoring_performance_rows, service)",
}
_SEVERAL = frozenset({"watched"})


def documents() -> dict[str, str]:
    """Give the text of each dashboard by the name of its file."""
    return {f"{name}.json": _document(name, *declared) for name, declared in _DASHBOARDS.items()}


def _document(name: str, title: str, variable: str | None, panels: Sequence[Panel]) -> str:
    made = dashboard.Dashboard(f"Offers: {title}").uid(f"offers-{name}").tags(["offers"]).refresh("30s")
    made = made.time("now-6h", "now").timezone("browser").readonly()
    if variable is not None:
        choice = dashboard.QueryVariable(variable).datasource(_SOURCE).query(_VALUES[variable])
        if variable in _SEVERAL:
            choice = choice.multi(True).include_all(True)
        made = made.with_variable(choice)
    for panel in panels:
        made = made.with_panel(_graph(panel))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _graph(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE).min(0).span(12).height(8)
    for letter, (legend, query) in zip("ABCD", panel.queries.items(), strict=False):
        made = made.with_target(prometheus.Dataquery().expr(query).legend_format(legend).ref_id(letter))
    return made


if __name__ == "__main__":
    for name, text in documents().items():
        (TARGET / name).write_text(text)
