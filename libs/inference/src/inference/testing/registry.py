"""A model registry in memory."""

import shutil
from pathlib import Path

from inference.contract import CONTRACT_FILE
from inference.errors import AliasNotSetError, ArtifactError, RefusalCode, RegistryError
from inference.registry import RegisteredVersion

__all__ = ["FakeRegistry"]


class FakeRegistry:
    """Holds versions as directories; `down` makes every call fail, as an MLflow that is away."""

    def __init__(self) -> None:
        self.down = False
        self.downloads: list[str] = []
        """Versions fetched so far."""
        self.tags: dict[tuple[str, str], dict[str, str]] = {}
        """Tags by model and version."""
        self._directories: dict[tuple[str, str], Path] = {}
        self._aliases: dict[tuple[str, str], str] = {}

    def publish(self, model: str, version: str, directory: Path) -> None:
        """Register the files of `directory` as a version."""
        self._directories[model, version] = directory

    def drop_alias(self, model: str, alias: str) -> None:
        """Let an alias point to nothing."""
        self._aliases.pop((model, alias), None)

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias to a version."""
        self._aliases[model, alias] = version

    async def by_alias(self, name: str, alias: str) -> RegisteredVersion:
        """Find the version that an alias points to."""
        self._answer()
        version = self._aliases.get((name, alias))
        if version is None:
            raise AliasNotSetError(f"MLflow answers 400: Registered model alias {alias} not found.")
        return await self.by_version(name, version)

    async def by_version(self, name: str, version: str) -> RegisteredVersion:
        """Find a version by its number."""
        self._answer()
        if (name, version) not in self._directories:
            raise RegistryError(f"MLflow answers 404: Model Version (name={name}, version={version}) not found")
        tags = dict(self.tags.get((name, version), {}))
        return RegisteredVersion(name, version, f"run-{version}", f"memory:/{name}/{version}", tags)

    async def download(self, version: RegisteredVersion, directory: Path) -> None:
        """Copy the version's files."""
        self._answer()
        self.downloads.append(version.version)
        source = self._directories[version.name, version.version]
        if not (source / CONTRACT_FILE).exists():
            raise ArtifactError(f"the model version has no {CONTRACT_FILE}", RefusalCode.CONTRACT_MISSING)
        shutil.copytree(source, directory, dirs_exist_ok=True)

    async def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a model version."""
        self._answer()
        self.tags.setdefault((name, version), {})[key] = value

    def _answer(self) -> None:
        if self.down:
            raise RegistryError("MLflow does not answer: ConnectError")
