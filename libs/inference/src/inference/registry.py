"""MLflow's model registry over REST: alias to version, a version's files, tags.

The client needs httpx and no MLflow package. Files come through MLflow's artefact proxy (`mlflow-artifacts:` URIs);
where the tracking server does not proxy its store, give an `ArtifactStore` for the URI's scheme (`s3`, `gs`, …).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

import msgspec

from inference.contract import CONTRACT_FILE
from inference.contract_checks import read_contract
from inference.errors import AliasNotSetError, ArtifactError, RefusalCode, RegistryError

if TYPE_CHECKING:
    import httpx

__all__ = ["ArtifactStore", "ModelRegistry", "RegisteredVersion", "RegistryAuth", "RegistryClient"]

_API = "/api/2.0/mlflow"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_ABSENT = (b"No such file or directory", b"RESOURCE_DOES_NOT_EXIST")
_CHUNK_BYTES = 1 << 20


class RegisteredVersion(msgspec.Struct, frozen=True):
    """A model version as the registry describes it."""

    name: str
    version: str
    run_id: str = ""
    source: str = ""
    tags: dict[str, str] = {}
    registered_by: str = ""
    """Who made the version, where the registry knows users."""

    def same_files(self, other: "RegisteredVersion") -> bool:
        """Whether both are one version of one model; tags may differ. A re-created model starts again at version 1."""
        return (self.name, self.version, self.run_id, self.source) == (
            other.name,
            other.version,
            other.run_id,
            other.source,
        )


class ModelRegistry(Protocol):
    """What the watch needs from a model registry. Methods raise `RegistryError` while it is away."""

    async def by_alias(self, name: str, alias: str) -> RegisteredVersion:
        """Find the version that an alias of a registered model points to."""
        ...

    async def by_version(self, name: str, version: str) -> RegisteredVersion:
        """Find a version by its number."""
        ...

    async def download(self, version: RegisteredVersion, directory: Path) -> None:
        """Put the contract and the booster's file into an empty directory. `ArtifactError` where one is not there."""
        ...

    async def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a model version."""
        ...


class ArtifactStore(Protocol):
    """Fetches files of a store that MLflow does not proxy."""

    async def fetch(self, uri: str, target: Path) -> None:
        """Write the file at `uri` to `target`. Raises `ArtifactError` if it is not there, else `RegistryError`."""
        ...


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Credentials for MLflow: a bearer token, or a user and a password."""

    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class RegistryClient:
    """`ModelRegistry` over MLflow's REST interface. Belongs to one event loop."""

    def __init__(
        self,
        url: str,
        *,
        auth: RegistryAuth | None = None,
        timeout_seconds: float = 5.0,
        stores: Mapping[str, ArtifactStore] | None = None,
        file_bytes_max: int = 1 << 30,
    ) -> None:
        """Connect lazily; `timeout_seconds` bounds each connect and each wait for bytes, not a whole download.

        A version with a larger file than `file_bytes_max` is no version that serves.
        """
        import httpx

        self._stores = dict(stores or {})
        self._errors = httpx.HTTPError
        self._file_bytes_max = file_bytes_max
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=timeout_seconds,
            auth=_basic(auth),
            headers={"Authorization": f"Bearer {auth.token}"} if auth and auth.token else None,
        )

    async def by_alias(self, name: str, alias: str) -> RegisteredVersion:
        """Find the version that an alias points to. Raises `AliasNotSetError`, or another `RegistryError`."""
        try:
            answer = await self._request(
                "GET", f"{_API}/registered-models/alias", params={"name": name, "alias": alias}
            )
        except RegistryError as error:
            # MLflow has no error code of its own for this.
            if f"alias {alias} not found" in str(error):
                raise AliasNotSetError(str(error)) from None
            raise
        return _described(answer, f"alias {alias} of {name}")

    async def by_version(self, name: str, version: str) -> RegisteredVersion:
        """Find a version by its number. Raises `RegistryError`."""
        answer = await self._request("GET", f"{_API}/model-versions/get", params={"name": name, "version": version})
        return _described(answer, f"version {version} of {name}")

    async def download(self, version: RegisteredVersion, directory: Path) -> None:
        """Put the contract and the booster's file into `directory`: the rest of the artefacts does not serve."""
        params = {"name": version.name, "version": version.version}
        answer = await self._request("GET", f"{_API}/model-versions/get-download-uri", params=params)
        uri = str(answer.get("artifact_uri") or version.source)
        contract_path = directory / CONTRACT_FILE
        await self._fetch(uri, CONTRACT_FILE, contract_path)
        booster_file = read_contract(contract_path.read_bytes()).booster.file
        if Path(booster_file).name != booster_file:
            raise ArtifactError("the contract's booster file must lie beside the contract")
        await self._fetch(uri, booster_file, directory / booster_file)

    async def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a model version."""
        body = {"name": name, "version": version, "key": key, "value": value}
        await self._request("POST", f"{_API}/model-versions/set-tag", json=body)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = await self._client.request(method, path, **arguments)
        except self._errors as error:
            raise RegistryError(f"MLflow does not answer: {_kind(error)}") from error
        if response.is_error:
            raise RegistryError(f"MLflow answers {response.status_code}: {_message(response)}")
        try:
            answer = msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise RegistryError(f"MLflow's answer to {path} is not JSON") from error
        if not isinstance(answer, dict):
            raise RegistryError(f"MLflow's answer to {path} is not an object")
        return answer

    async def _fetch(self, uri: str, file: str, target: Path) -> None:
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts":
            # The URI may carry the host that the training client logged through; the path is the same for us.
            await self._fetch_proxied(f"{_PROXY}/{quote(parts.path.strip('/'))}/{quote(file)}", target)
        elif parts.scheme in self._stores:
            await self._stores[parts.scheme].fetch(f"{uri.rstrip('/')}/{file}", target)
        else:
            raise ArtifactError(f"nothing here fetches artefacts from {parts.scheme or 'file'}: URIs")

    async def _fetch_proxied(self, path: str, target: Path) -> None:
        try:
            async with self._client.stream("GET", path) as response:
                if response.status_code in {400, 404, 500} and await _is_absent(response):
                    is_contract = target.name == CONTRACT_FILE
                    code = RefusalCode.CONTRACT_MISSING if is_contract else RefusalCode.ARTIFACT_MISSING
                    raise ArtifactError(f"the model version has no {target.name}", code)
                if response.is_error:
                    raise RegistryError(f"MLflow answers {response.status_code} for {target.name}")
                left = self._file_bytes_max
                with target.open("wb") as file:
                    async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                        left -= len(chunk)
                        if left < 0:
                            raise ArtifactError(f"{target.name} has more than {self._file_bytes_max} bytes")
                        file.write(chunk)
        except self._errors as error:
            raise RegistryError(f"MLflow breaks off while sending {target.name}: {_kind(error)}") from error


def _described(answer: dict[str, Any], of: str) -> RegisteredVersion:
    try:
        found = answer["model_version"]
        return RegisteredVersion(
            name=found["name"],
            version=str(found["version"]),
            run_id=found.get("run_id") or "",
            source=found["source"],
            tags={tag["key"]: tag.get("value", "") for tag in found.get("tags", ())},
            registered_by=found.get("user_id") or "",
        )
    except (KeyError, TypeError) as error:
        raise RegistryError(f"MLflow's answer about {of} lacks {error}") from error


def _basic(auth: RegistryAuth | None) -> tuple[str, str] | None:
    if auth is None or auth.token or auth.username is None:
        return None
    return auth.username, auth.password or ""


async def _is_absent(response: "httpx.Response") -> bool:
    """Tell a file that is not there from a server in trouble: MLflow's file store answers 500 for the former."""
    content = await response.aread()
    return response.status_code == 404 or any(words in content for words in _ABSENT)


def _kind(error: Exception) -> str:
    return type(error).__name__


def _message(response: "httpx.Response") -> str:
    try:
        return str(msgspec.json.decode(response.content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.reason_phrase
