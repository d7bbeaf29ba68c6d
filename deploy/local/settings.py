"""Where the local platform lives and which ports it takes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_PORTS", "REPOSITORY", "SERVICES", "LocalSettings"]

REPOSITORY = Path(__file__).resolve().parents[2]

SERVICES = ("residency", "skill_experience", "business_experience", "hourly_rate", "recommendation")

DEFAULT_PORTS: Mapping[str, int] = {
    "valkey": 6380,
    "mlflow": 5000,
    "residency": 8001,
    "skill_experience": 8002,
    "business_experience": 8003,
    "hourly_rate": 8004,
    "recommendation": 8005,
    "follower": 8010,
    "prometheus": 9090,
}


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Settings of one platform; two platforms on a machine differ in home and ports."""

    home: Path
    """`OFFERS_HOME`: all state. Removing it resets the platform."""
    host: str
    """`OFFERS_HOST`: the address that everything listens on."""
    ports: Mapping[str, int]
    """`OFFERS_PORT_<NAME>` each, or `OFFERS_PORT_OFFSET` added to all defaults."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "LocalSettings":
        """Read the `OFFERS_*` variables. Raises `ValueError` for a port that is not a number."""
        home = Path(environment.get("OFFERS_HOME") or REPOSITORY / ".local").absolute()
        offset = int(environment.get("OFFERS_PORT_OFFSET") or 0)
        ports = {
            name: int(environment.get(f"OFFERS_PORT_{name.upper()}") or default + offset)
            for name, default in DEFAULT_PORTS.items()
        }
        return cls(home=home, host=environment.get("OFFERS_HOST") or "127.0.0.1", ports=ports)

    @property
    def run_directory(self) -> Path:
        """Lock and state of the supervisor."""
        return self.home / "run"

    @property
    def log_directory(self) -> Path:
        """One log a process."""
        return self.home / "log"

    @property
    def api_key_file(self) -> Path:
        """The key that local callers send as `X-API-Key`."""
        return self.home / "api-key"

    @property
    def redis_url(self) -> str:
        """The embedded Valkey."""
        return f"redis://{self.host}:{self.ports['valkey']}/0"

    @property
    def mlflow_url(self) -> str:
        """The local MLflow server."""
        return f"http://{self.host}:{self.ports['mlflow']}"

    def service_url(self, name: str) -> str:
        """Base URL of a process that speaks HTTP."""
        return f"http://{self.host}:{self.ports[name]}"

    def child_environment(self) -> dict[str, str]:
        """What every process of the platform gets on top of the caller's environment."""
        given = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("OFFERS_") and not name.startswith(("OFFERS_PORT", "OFFERS_RUN_ID"))
        }
        return given | {
            "OFFERS_HOME": str(self.home),
            "OFFERS_HOST": self.host,
            "OFFERS_REDIS_URL": self.redis_url,
            "OFFERS_MLFLOW_URL": self.mlflow_url,
            "OFFERS_API_KEYS_FILE": str(self.api_key_file),
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "DAGSTER_HOME": str(self.home / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "FEAST_USAGE": "False",
            "DO_NOT_TRACK": "true",
            "PYTHONUNBUFFERED": "1",
        }
