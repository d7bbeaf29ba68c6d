"""Feast's registry file under `OFFERS_HOME`, wherever the command line is called."""

from pathlib import Path

from feast.infra.registry.file import FileRegistryStore
from feast.repo_config import RegistryConfig

from pipelines.warehouse.settings import offers_home

__all__ = ["HomeRegistryStore"]


class HomeRegistryStore(FileRegistryStore):  # type: ignore[misc]  # published without types
    """A registry file whose relative path starts at `OFFERS_HOME`."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:  # noqa: ARG002 — Feast's signature
        super().__init__(registry_config, offers_home())
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
