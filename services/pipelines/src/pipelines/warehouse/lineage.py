"""Which source columns a feature's value comes from, through all SQL between."""

import json
from collections.abc import Mapping
from pathlib import Path

from sqlglot import exp
from sqlmesh import Context
from sqlmesh.core.lineage import column_dependencies

from pipelines.warehouse.lineage_file import CONDITIONS, LINEAGE_FILE

__all__ = ["column_sources", "write_lineage"]

Sources = Mapping[str, Mapping[str, tuple[str, ...]]]


def column_sources(context: Context) -> Sources:
    """Return the source columns that each column of the models under `features` is computed from.

    Under `CONDITIONS` stand all source columns that the models on the way mention at all.
    """
    seen: dict[tuple[str, str], frozenset[str]] = {}
    result: dict[str, dict[str, tuple[str, ...]]] = {}
    for model in context.models.values():
        schema, _, view = model.name.partition(".")
        if schema == "features":
            result[view] = {
                column: tuple(sorted(_sources(context, model.name, column, seen)))
                for column in model.columns_to_types_or_raise
            }
            result[view][CONDITIONS] = tuple(sorted(_mentioned(context, model.fqn)))
    return result


def write_lineage(directory: Path, sources: Sources) -> None:
    """Write the lineage file, atomically."""
    unfinished = directory / f"{LINEAGE_FILE}.unfinished"
    unfinished.write_text(json.dumps(sources, indent=1, sort_keys=True) + "\n")
    unfinished.replace(directory / LINEAGE_FILE)


def _sources(context: Context, model: str, column: str, seen: dict[tuple[str, str], frozenset[str]]) -> frozenset[str]:
    if (model, column) in seen:
        return seen[model, column]
    found: set[str] = set()
    for parent, columns in column_dependencies(context, model, column).items():
        parts = parent.replace('"', "").split(".")
        name = ".".join(parts[-2:])
        for parent_column in columns:
            if name.startswith("source."):
                found.add(f"{name}.{parent_column}")
            else:
                found |= _sources(context, name, parent_column, seen)
    seen[model, column] = frozenset(found)
    return seen[model, column]


def _mentioned(context: Context, fqn: str) -> set[str]:
    """Source columns that the SQL of a model and of all models before it names, whatever for."""
    found: set[str] = set()
    for name in (fqn, *context.dag.upstream(fqn)):
        model = context.models.get(name)
        if model is None or model.kind.is_external:
            continue
        named = {column.name for column in model.render_query_or_raise().find_all(exp.Column)}
        for parent in model.depends_on:
            source = context.models.get(parent)
            if source is not None and source.kind.is_external:
                found |= {f"{source.name}.{column}" for column in named & set(source.columns_to_types or {})}
    return found
