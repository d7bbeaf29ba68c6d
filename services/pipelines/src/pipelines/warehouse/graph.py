"""The graph of the warehouse's models, without a warehouse."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from marketplace.tables import SOURCE_TABLES
from pipelines.warehouse.build import open_context
from pipelines.warehouse.settings import WarehouseSettings

__all__ = ["ModelNode", "model_nodes"]


@dataclass(frozen=True, slots=True)
class ModelNode:
    """A SQLMesh model and what it reads; keys are (schema, table)."""

    key: tuple[str, str]
    parents: tuple[tuple[str, str], ...]
    description: str
    grain: tuple[str, ...]


def model_nodes() -> tuple[ModelNode, ...]:
    """Return the project's models in topological order, as SQLMesh reads them."""
    with TemporaryDirectory() as directory:
        end = datetime(2000, 1, 1)
        context = open_context(WarehouseSettings(home=Path(directory), snapshot_end=end), Path(directory) / "w.duckdb")
        try:
            return tuple(
                _node(context.models[fqn]) for fqn in context.dag.sorted if not context.models[fqn].kind.is_external
            )
        finally:
            context.close()


def _node(model: Any) -> ModelNode:
    parents = sorted(_key(fqn) for fqn in model.depends_on)
    return ModelNode(
        key=_key(model.fqn),
        parents=tuple(key for key in parents if key[0] != "source" or key[1] in SOURCE_TABLES),
        description=model.description or "",
        grain=tuple(str(grain.sql()).strip("()") for grain in model.grains),
    )


def _key(fqn: str) -> tuple[str, str]:
    schema, _, table = fqn.replace('"', "").rpartition(".")
    return schema.rpartition(".")[2], table
