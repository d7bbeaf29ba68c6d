"""What an operator may set: environment variables `OFFERS_*`, read once at start and passed on."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """Settings of one serving process; each is the environment variable `OFFERS_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="OFFERS_", frozen=True, extra="ignore", use_attribute_docstrings=True, validate_by_name=True
    )

    home: Path = Path(".local")
    """Directory of all local state: key file, artefact cache, logs."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port | None = None
    """Port to listen on; by default the service's own."""
    workers: Count = 1
    """Processes that share the port."""

    worker: Annotated[int, Field(ge=0)] = 0
    """Place of this process among the workers; set by the process that starts them."""
    siblings: Count = 1
    """Workers that share the port, this one among them; set likewise."""
    counts_directory: Path | None = None
    """Where workers keep what they count, so that each can tell the sum; set likewise."""

    redis_url: str = "redis://127.0.0.1:6380/0"
    """The online feature store."""
    feast_project: str = "offers"
    """Feast project whose views are read."""
    mlflow_url: str = "http://127.0.0.1:5000"
    """The model registry."""
    registry_poll_seconds: Positive = 5.0
    """How often the registry's aliases are looked at."""
    webhook_secret: SecretStr | None = None
    """Secret of MLflow's registry webhook to `/v1/model/webhook`; without one, deliveries are refused."""
    webhook_window_seconds: Positive = 300.0
    """How old a delivery may be."""
    max_slowdown: Positive = 5.0
    """A version that predicts so many times slower than what serves stays out."""
    guard_window_seconds: Annotated[float, Field(ge=0)] = 120.0
    """How long a new version is held against the one before, which stays loaded; 0 guards nothing."""
    guard_min_rows: Count = 500
    """Rows that the guard waits for, at most ten windows long, before it lets the version before go."""
    challenger_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of batches that the challenger scores in shadow."""
    canary_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of entities whose single scores the challenger answers."""
    model_cache: Path | None = None
    """Directory of the artefact cache; by default `cache/models` under `OFFERS_HOME`."""

    api_keys_file: Path | None = None
    """File of API keys, one a line; by default `api-key` under `OFFERS_HOME`."""

    body_bytes_max: Count = 4 * 1024 * 1024
    """Largest request body; a larger one is answered 413."""
    bulk_rows_max: Count = 10_000
    """Most rows of a JSON bulk request; more are answered 413."""
    deadline_seconds: Positive = 5.0
    """Longest time a request may take before it is answered 504."""
    bulk_deadline_seconds: Positive = 60.0
    """The same for bulk requests and shortlists."""
    in_flight_max: Count = 512
    """Scoring requests worked on at once; further ones are shed with 503."""
    retry_after_seconds: Count = 1
    """What `Retry-After` says where a request was shed or the service is not ready."""
    quota_per_second: Annotated[float, Field(ge=0)] = 0.0
    """Requests a second that one caller may send in the long run; 0 sets no quota."""
    quota_burst: Count = 1000
    """Requests that a caller may send at once under a quota."""

    prediction_log: bool = True
    """Whether every scored row is logged."""
    prediction_log_bulk_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the rows of bulk requests that is logged; feedback to the others joins nothing."""
    log_redis_url: str | None = None
    """Redis of the prediction log and of feedback; by default the online store's. It must not evict keys."""
    log_stream_bytes_max: Count = 128 * 1024 * 1024
    """Backlog of a stream in Redis from which on messages stay in the spool."""
    spool_bytes_max: Count = 256 * 1024 * 1024
    """Spool of a process for scored rows that Redis does not take; what is over it is dropped and counted."""
    feedback_journal_bytes_max: Count = 64 * 1024 * 1024
    """Journal of a process for feedback that Redis has not taken; when it is full, feedback is answered 503."""

    shortlist_refresh_seconds: Positive = 60.0
    """How often the pool of candidates in memory is read anew."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """Least level of a log event that is written."""
    access_log: Literal["off", "errors", "all"] = "errors"
    """Which requests have a log event: none, those with server errors (at most 20 a second), or all of them."""
    traces_endpoint: Annotated[
        str | None,
        Field(
            pattern="^https?://",
            validation_alias=AliasChoices("OFFERS_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ),
    ] = None
    """Collector that takes OpenTelemetry spans by OTLP/HTTP, such as `http://127.0.0.1:4318`; by default none.
    `OTEL_EXPORTER_OTLP_ENDPOINT` says the same."""
    traces_ratio: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the requests that are traced, where the caller's `traceparent` does not decide it."""

    @property
    def keys_path(self) -> Path:
        """The API key file."""
        return self.api_keys_file or self.home / "api-key"

    @property
    def spool_path(self) -> Path:
        """Directory of the spools; it must outlive the process, and no two machines may share it."""
        return self.home / "spool"

    @property
    def cache_path(self) -> Path:
        """The artefact cache's directory."""
        return self.model_cache or self.home / "cache" / "models"
