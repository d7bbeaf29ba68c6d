"""What SQLMesh tells while it builds: seconds and audits of each model, and which audits failed."""

from typing import Any

from sqlmesh.core.console import NoopConsole
from sqlmesh.core.snapshot import Snapshot
from sqlmesh.utils.errors import AuditError as SqlMeshAuditError

from pipelines.warehouse.errors import FailedAudit

__all__ = ["BuildProgress"]


class BuildProgress(NoopConsole):  # type: ignore[misc]  # published without types
    """A silent console that keeps the figures of a build."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self.audits: dict[str, int] = {}
        self.failed_audits: list[FailedAudit] = []
        self.errors: list[str] = []

    def update_snapshot_evaluation_progress(self, snapshot: Snapshot, *batch: Any, **_: Any) -> None:
        """Add up one batch of a model."""
        _interval, _index, duration_ms, num_audits_passed = batch[:4]
        name = str(snapshot.name).replace('"', "").partition(".")[2]
        self.seconds[name] = self.seconds.get(name, 0.0) + (duration_ms or 0) / 1000
        self.audits[name] = self.audits.get(name, 0) + num_audits_passed

    def log_failed_models(self, errors: list[Any]) -> None:
        """Keep why models failed."""
        for error in errors:
            for cause in _causes(error):
                if isinstance(cause, SqlMeshAuditError):
                    self.failed_audits.append(
                        FailedAudit(str(cause.model_name), str(cause.audit_name), int(cause.count))
                    )
                else:
                    self.errors.append(str(cause))


def _causes(error: BaseException) -> list[BaseException]:
    cause: BaseException | None = error.__cause__
    if cause is None:
        return [error]
    nested = getattr(cause, "errors", None)
    return list(nested) if nested else [cause]
