"""Where a local platform lives, by environment."""

from pathlib import Path

import pytest
import yaml
from deploy.local.local_prometheus import write_prometheus_configuration
from deploy.local.platform_specs import platform_specs
from deploy.local.process_spec import fingerprint
from deploy.local.settings import DEFAULT_PORTS, REPOSITORY, SERVICES, LocalSettings


def test_without_settings_it_lives_in_the_checkout_on_the_documented_ports() -> None:
    settings = LocalSettings.from_environment({})

    assert settings.home == REPOSITORY / ".local"
    assert settings.ports == DEFAULT_PORTS
    assert settings.redis_url == "redis://127.0.0.1:6380/0"
    assert settings.mlflow_url == "http://127.0.0.1:5000"


def test_an_offset_moves_all_ports_and_one_may_be_set() -> None:
    settings = LocalSettings.from_environment({"OFFERS_PORT_OFFSET": "1000", "OFFERS_PORT_MLFLOW": "5555"})

    assert settings.ports["residency"] == 9001
    assert settings.ports["mlflow"] == 5555


def test_the_stores_start_first_and_every_service_has_its_own_port(tmp_path: Path) -> None:
    specs = platform_specs(LocalSettings.from_environment({"OFFERS_HOME": str(tmp_path)}))

    assert [spec.name for spec in specs if spec.stage == 0] == ["valkey", "mlflow"]
    assert [spec.name for spec in specs if spec.stage == 1][:5] == list(SERVICES)
    assert all(spec.environment["OFFERS_PORT"] == str(spec.port) for spec in specs if spec.name in SERVICES)


def test_a_setting_of_a_service_changes_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = LocalSettings.from_environment({"OFFERS_HOME": str(tmp_path)})
    before = fingerprint(platform_specs(settings))

    monkeypatch.setenv("OFFERS_WORKERS", "2")

    assert fingerprint(platform_specs(settings)) != before


def test_prometheus_is_pointed_at_this_machine(tmp_path: Path) -> None:
    settings = LocalSettings.from_environment({"OFFERS_HOME": str(tmp_path), "OFFERS_PORT_OFFSET": "100"})

    written = yaml.safe_load(write_prometheus_configuration(settings).read_text())

    targets = [target for group in written["scrape_configs"][0]["static_configs"] for target in group["targets"]]
    assert targets == [f"127.0.0.1:{DEFAULT_PORTS[service] + 100}" for service in SERVICES]
    assert all(Path(name).is_file() for name in written["rule_files"])
