"""Dashboards are what their declarations say, and every query of theirs finds data of the five running services."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from deploy.local.settings import SERVICES

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def _queries() -> set[str]:
    """Every query, for each service and model where it asks for one."""
    panels = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    queries = {target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel["targets"]}
    queries = {query.replace("$watched", ".*") for query in queries}
    return {query.replace("$service", name).replace("$model", name) for query in queries for name in SERVICES}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, prometheus_binary: str) -> Iterator[Any]:
    directory = str(Path(__file__).parent)
    sys.path.insert(0, directory)
    try:
        module = importlib.import_module("real_platform")
    finally:
        sys.path.remove(directory)
    with module.running_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


def test_dashboards_are_as_declared(load: Callable[[Path], Any]) -> None:
    declared = load(DEPLOY / "grafana" / "generate.py").documents()

    assert {path.name: path.read_text() for path in DASHBOARDS} == declared


@pytest.mark.timeout(600)  # data, models and five services come first: a minute and a half on two idle cores
def test_make_up_starts_a_prometheus_with_every_rule_and_service(platform: Any, wait_for: Callable[..., None]) -> None:
    url = platform.url("prometheus")
    written = [
        rule.get("alert", rule.get("record"))
        for path in (DEPLOY / "prometheus" / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]

    def targets() -> dict[str, str]:
        active = httpx.get(f"{url}/api/v1/targets").json()["data"]["activeTargets"]
        return {target["labels"].get("service", target["labels"]["job"]): target["health"] for target in active}

    wait_for(lambda: targets() == dict.fromkeys((*SERVICES, "follower"), "up"))
    groups = httpx.get(f"{url}/api/v1/rules").json()["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]

    assert sorted(rule["name"] for rule in loaded) == sorted(written)
    assert not [rule for rule in loaded if rule["health"] == "err"]


@pytest.mark.timeout(600)
def test_every_query_finds_data(
    platform: Any, exported: str, prometheus: Callable[[str], Any], wait_for: Callable[..., None], tmp_path: Path
) -> None:
    configuration = yaml.safe_load((platform.settings.home / "prometheus" / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    # As `make up` wrote it, with rules that do not wait for minutes.
    for position, name in enumerate(configuration["rule_files"]):
        document = yaml.safe_load(Path(name).read_text())
        for group in document["groups"]:
            group["interval"] = "1s"
        configuration["rule_files"][position] = str(tmp_path / Path(name).name)
        (tmp_path / Path(name).name).write_text(yaml.safe_dump(document))
    figures = {"job_name": "figures", "static_configs": [{"targets": [exported.removeprefix("http://")]}]}
    configuration["scrape_configs"].append(figures)
    missing = _queries()
    assert len(missing) > 100

    with prometheus(yaml.safe_dump(configuration)) as url, httpx.Client(timeout=30) as client:

        def all_answered() -> bool:
            # Load goes on, as rates want a count that grows between two scrapes.
            platform.score(client, range(1, 301))
            for query in list(missing):
                answer = client.get(f"{url}/api/v1/query", params={"query": query}).json()
                values = [float(one["value"][1]) for one in answer["data"]["result"]]
                if any(value == value for value in values):  # noqa: PLR0124  # not NaN
                    missing.discard(query)
            return not missing

        try:
            wait_for(all_answered, 120)
        except AssertionError:
            raise AssertionError(f"no data: {sorted(missing)}") from None
