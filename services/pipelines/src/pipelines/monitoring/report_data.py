"""Everything that a service's report shows, gathered; nothing is drawn or worded here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.monitoring.drift_tables import DriftTables, drift_tables
from pipelines.monitoring.errors import MonitoringError
from pipelines.monitoring.figures import ServiceFigures
from pipelines.monitoring.performance import MOST_VERSIONS, FactsOf
from pipelines.monitoring.prediction_rows import PredictionRows, WindowRows, open_predictions
from pipelines.monitoring.version_facts import VersionFacts
from pipelines.monitoring.watched import WatchedService
from pipelines.monitoring.windows import Window, calendar_windows, trailing_windows

__all__ = ["ChampionOf", "ServiceReport", "gather"]

ChampionOf = Callable[[str], str | None]
"""Model to the version that its alias champion names, if that is known."""


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One service at one moment."""

    service: WatchedService
    until: datetime
    version: str
    """The champion if it scored in the last weeks, else the version that scored last."""
    figures: ServiceFigures
    labelled: WindowRows
    """The version's rows of the last 28 days that have an outcome."""
    degraded: float
    """Share of the last seven days' rows that lack a required feature; NaN without rows."""
    facts: VersionFacts | None
    reason: str
    """Why there are no facts, where there are none."""
    drift: DriftTables | None
    """By the last seven days first, then calendar weeks, oldest first; None without facts."""


def gather(
    home: Path,
    service: WatchedService,
    figures: ServiceFigures,
    until: datetime,
    *,
    facts_of: FactsOf,
    champion_of: ChampionOf,
) -> ServiceReport | None:
    """Read the log once more, for one service; None if it has no rows in the last twelve weeks.

    Raises PredictionLogError.
    """
    _, week, month = trailing_windows(until)
    weeks = [window for window in calendar_windows(until) if window.span == "week"]
    with open_predictions(home, service, min(weeks[0].start, month.start), until) as rows:
        versions = rows.versions(MOST_VERSIONS)
        if not versions:
            return None
        champion = champion_of(service.name)
        version = champion if champion in versions else versions[0]
        facts, reason = _facts(facts_of, service.name, version)
        return ServiceReport(
            service=service,
            until=until,
            version=version,
            figures=figures,
            labelled=rows.window(version, month).labelled,
            degraded=rows.degraded_share(version, week),
            facts=facts,
            reason=reason,
            drift=_drift(rows, facts, version, [week, *weeks]),
        )


def _facts(facts_of: FactsOf, model: str, version: str) -> tuple[VersionFacts | None, str]:
    try:
        return facts_of(model, version), ""
    except MonitoringError as error:
        return None, str(error)


def _drift(rows: PredictionRows, facts: VersionFacts | None, version: str, windows: list[Window]) -> DriftTables | None:
    return None if facts is None else drift_tables(rows, facts.contract, version, windows)
