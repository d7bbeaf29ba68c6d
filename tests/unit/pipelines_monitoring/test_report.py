"""A report says what its log says, opens offline, runs nothing, and is the same for the same log."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from log_files import moments, write_feedback, write_predictions

from inference.contract import FeatureSpec, OutputSpec, ReferenceBins
from inference.testing import tiny_features, tiny_model
from pipelines.monitoring import MonitoringError
from pipelines.monitoring.performance import make_performance
from pipelines.monitoring.report import findings_of, render_report, write_report
from pipelines.monitoring.report_data import ServiceReport, gather
from pipelines.monitoring.version_facts import VersionFacts
from pipelines.monitoring.watched import WATCHED, WatchedService

UNTIL = datetime(2026, 11, 24, 6, tzinfo=UTC)
SPAN = timedelta(days=28)
BY_NAME = {service.name: service for service in WATCHED}
HOSTILE = "<script>alert(1)</script>\"'&$x^2$"
_NUMBER = ReferenceBins(edges=(2.0, 4.0, 6.0, 8.0), shares=(0.2, 0.2, 0.2, 0.2, 0.2, 0.0), rows=5000)
_RATES = ReferenceBins(edges=(4000.0, 5000.0, 6000.0, 7000.0), shares=(0.2, 0.2, 0.2, 0.2, 0.2, 0.0), rows=5000)


class Read(HTMLParser):
    """What a browser would make of a file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def facts(directory: Path, *, extra: tuple[str, ...] = ()) -> VersionFacts:
    more = tuple(
        FeatureSpec(name=name, reference=f"v:f{i}", source="stored", dtype="float") for i, name in enumerate(extra)
    )
    output = OutputSpec(name="estimate", unit="JPY/hour", tables={"coverage": (0.8,)}, bins=_RATES)
    contract = tiny_model(directory, output=output, features=(*tiny_features()[1:], *more))
    features = tuple(msgspec.structs.replace(one, bins=_NUMBER) for one in contract.features)
    importance = {feature.name: float(i + 1) for i, feature in enumerate(features)}
    naive = {"mae": 1200.0}
    return VersionFacts(msgspec.structs.replace(contract, features=features), importance, naive, run_id="run")


def gathered(
    home: Path, known: VersionFacts | None, service: WatchedService = BY_NAME["hourly_rate"]
) -> ServiceReport | None:
    def facts_of(model: str, version: str) -> VersionFacts:
        if known is None:
            raise MonitoringError(f"nobody knows <{model}>")
        return known

    figures = make_performance(home, facts_of, UNTIL, [service])
    return gather(home, service, figures.services[0], UNTIL, facts_of=facts_of, champion_of=lambda _: None)


def write_rates(home: Path, known: VersionFacts, *, version: str = "1", off: float = 1.0, shift: float = 0.0) -> None:
    """28 days of 1,400 rates with outcomes after five days; the last of the features moves by `shift`."""
    rng = np.random.default_rng(0)
    n = 1400
    rate = rng.uniform(3000, 8000, n)
    names = [feature.name for feature in known.contract.features]
    features = {name: rng.uniform(0, 10, n) for name in names}
    features[names[-1]] = features[names[-1]] + shift
    output = {"lower": rate * 0.88, "upper": rate * 1.14, "coverage": np.full(n, 0.8)}
    at = moments(UNTIL - SPAN, SPAN, n)
    ids = write_predictions(home, "hourly_rate", at, rate, version=version, output=output, features=features)
    outcome = rate * off * np.exp(rng.normal(0, 0.1, n))
    late = [moment + timedelta(days=5) for moment in at]
    kept = [i for i in range(n) if late[i] < UNTIL]
    write_feedback(home, "hourly_rate", [ids[i] for i in kept], outcome[kept], [late[i] for i in kept])


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> ServiceReport:
    known = facts(tmp_path_factory.mktemp("model"))
    home = tmp_path_factory.mktemp("home")
    write_rates(home, known)
    report = gathered(home, known)
    assert report is not None
    return report


def test_the_same_log_gives_the_same_bytes(calm: ServiceReport) -> None:
    assert render_report(calm) == render_report(calm)


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(calm: ServiceReport) -> None:
    text = render_report(calm)
    read = Read(text)

    assert not read.tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(address.startswith("#") for address in read.addresses)
    assert not read.handlers
    assert not re.findall(r"url\((?!#)", text)
    assert "default-src 'none'" in text
    assert "svg" in read.tags


def test_it_says_what_the_figures_say_and_on_how_many_rows(calm: ServiceReport) -> None:
    words = Read(render_report(calm)).words
    (month,) = calm.figures.windows_of("1", "28d")

    assert "時給診断" in words
    assert "2026-11-24 06:00 UTC" in words
    coverage = month.figure("coverage", "realised")
    assert f"{coverage.value:.3g}" in words
    assert f"{month.labels:,} predictions whose outcome has come" in words
    assert "training (5,000 rows)" in words
    assert "Nothing is out of its bounds" in words
    assert findings_of(calm) == ()


def test_what_is_out_of_bounds_comes_first_with_its_figures(tmp_path: Path) -> None:
    known = facts(tmp_path / "model")
    write_rates(tmp_path, known, off=1.4, shift=3.0)
    report = gathered(tmp_path, known)
    assert report is not None

    found = findings_of(report)

    texts = [finding.text for finding in found]
    assert {finding.about for finding in found} == {"performance", "drift"}
    assert any(
        re.match(r"mae is .* on 1,1\d\d outcomes, at best .*: the gate asks at most 1140", text) for text in texts
    )
    assert any(re.match(r"coverage is .* nominal 80%", text) for text in texts)
    assert any(
        re.match(r"PSI of articles_90d is .* over 350 rows of the last 7 days: threshold", text) for text in texts
    )
    assert len([finding for finding in found if finding.about == "drift"]) == 1
    assert all(text in Read(render_report(report)).words for text in texts)


def test_names_from_data_stay_words(tmp_path: Path) -> None:
    known = facts(tmp_path / "model", extra=(HOSTILE,))
    write_rates(tmp_path, known, version=HOSTILE)
    report = gathered(tmp_path, known)
    assert report is not None

    read = Read(render_report(report))

    assert "script" not in read.tags
    assert HOSTILE in read.words


def test_without_a_contract_it_says_so_and_shows_performance_all_the_same(tmp_path: Path) -> None:
    write_rates(tmp_path, facts(tmp_path / "model"))
    report = gathered(tmp_path, None)
    assert report is not None

    read = Read(render_report(report))

    assert "nobody knows <hourly_rate>" in read.words
    assert "Data drift by feature" not in read.words
    assert "svg" in read.tags


def test_three_hundred_features_stay_below_five_megabytes(tmp_path: Path) -> None:
    known = facts(tmp_path / "model", extra=tuple(f"feature_{i}" for i in range(300)))
    write_rates(tmp_path, known)
    report = gathered(tmp_path, known)
    assert report is not None

    file = write_report(report, tmp_path / "reports")

    assert file.name == "hourly_rate.html"
    assert file.stat().st_size < 5_000_000


@pytest.mark.parametrize("service", WATCHED, ids=lambda service: service.name)
def test_a_few_rows_without_outcomes_make_a_report_too(tmp_path: Path, service: WatchedService) -> None:
    keys = {key: [f"{key[0]}{i}" for i in range(5)] for key in service.declaration.entities}
    write_predictions(
        tmp_path, service.name, moments(UNTIL - timedelta(days=2), SPAN / 28, 5), np.full(5, 0.4), keys=keys
    )
    report = gathered(tmp_path, None, service)
    assert report is not None

    words = Read(render_report(report)).words

    assert service.title in words
    assert "0 outcomes for 5 predictions of the last 28 days: figures need 30." in words
