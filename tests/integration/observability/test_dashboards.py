"""Dashboards are what their declarations say, and every query of theirs finds data of a running service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def _queries() -> set[str]:
    panels = [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]
    found = {target["expr"] for panel in panels for target in panel["targets"]}
    values = {"$__rate_interval": "1m", "$service": "hourly_rate", "$model": "hourly_rate"}
    for name, value in values.items():
        found = {query.replace(name, value) for query in found}
    return found


def test_dashboards_are_as_declared(load: Callable[[Path], Any]) -> None:
    declared = load(DEPLOY / "grafana" / "generate.py").documents()

    assert {path.name: path.read_text() for path in DASHBOARDS} == declared


def test_every_query_finds_data(
    served: Any, prometheus: Callable[[str], Any], wait_for: Callable[..., None], tmp_path: Path
) -> None:
    for path in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            group["interval"] = "1s"
        (tmp_path / path.name).write_text(yaml.safe_dump(document))
    target = {"targets": [served.url.removeprefix("http://")], "labels": {"service": "hourly_rate"}}
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [
            str(tmp_path / "*.yml").replace("*.yml", name) for name in ("drift.yml", "slo.yml", "scoring.yml")
        ],
        "scrape_configs": [{"job_name": "scoring", "static_configs": [target]}],
    }
    headers = {"X-API-Key": served.key}
    people = [f"c{person:07}" for person in range(201)]
    with prometheus(yaml.safe_dump(configuration)) as url, httpx.Client(headers=headers, timeout=30) as client:
        missing = _queries()
        assert len(missing) > 30

        def all_answered() -> bool:
            # Load goes on, as rates want a count that grows between two scrapes.
            client.post(f"{served.url}/v1/score", json={"candidate_id": people[1]}).raise_for_status()
            client.post(f"{served.url}/v1/score/bulk", json={"candidate_ids": people}).raise_for_status()
            for query in list(missing):
                answer = client.get(f"{url}/api/v1/query", params={"query": query}).json()
                values = [float(one["value"][1]) for one in answer["data"]["result"]]
                if any(value == value for value in values):  # noqa: PLR0124  # not NaN
                    missing.discard(query)
            return not missing

        try:
            wait_for(all_answered, 90)
        except AssertionError:
            raise AssertionError(f"no data: {sorted(missing)}") from None
