"""The Prometheus configuration of compose.yaml, pointed at the processes of this machine."""

from pathlib import Path
from typing import Any

import yaml
from deploy.local.settings import REPOSITORY, LocalSettings

__all__ = ["write_prometheus_configuration"]

_SOURCE = REPOSITORY / "deploy" / "prometheus" / "prometheus.yml"


def write_prometheus_configuration(settings: LocalSettings) -> Path:
    """Write `$OFFERS_HOME/prometheus/prometheus.yml`: same jobs and rules, local addresses, no Alertmanager."""
    configuration: dict[str, Any] = yaml.safe_load(_SOURCE.read_text())
    configuration.pop("alerting", None)
    patterns = [str(Path(name).relative_to("/etc/prometheus")) for name in configuration["rule_files"]]
    configuration["rule_files"] = [str(path) for name in patterns for path in sorted(_SOURCE.parent.glob(name))]
    for job in configuration["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [_local(settings, target) for target in group["targets"]]
    directory = settings.home / "prometheus"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))
    return path


def _local(settings: LocalSettings, target: str) -> str:
    name = target.partition(":")[0].replace("-", "_")
    return f"{settings.host}:{settings.ports[name]}" if name in settings.ports else target
