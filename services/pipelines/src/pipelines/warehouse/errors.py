"""What can go wrong in the warehouse.

WarehouseError
└── AuditError: rows break a promise of a model
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["AuditError", "FailedAudit", "WarehouseError"]


@dataclass(frozen=True, slots=True)
class FailedAudit:
    """An audit that found rows which break a model's promise."""

    model: str
    audit: str
    rows: int


class WarehouseError(Exception):
    """The warehouse could not be built."""


class AuditError(WarehouseError):
    """Audits found rows that break a model's promise; the previous warehouse stays in place."""

    def __init__(self, failed: Sequence[FailedAudit]) -> None:
        super().__init__("; ".join(f"{audit.model}: {audit.audit} ({audit.rows} rows)" for audit in failed))
        self.failed = tuple(failed)
