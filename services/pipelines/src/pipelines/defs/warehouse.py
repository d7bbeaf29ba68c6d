"""SQLMesh's models, one asset each with its audits as a check."""

from collections.abc import Iterator

import dagster as dg

from pipelines.warehouse.build import build_warehouse
from pipelines.warehouse.errors import AuditError
from pipelines.warehouse.graph import ModelNode, model_nodes
from pipelines.warehouse.source_end import current_settings

__all__ = ["warehouse_assets"]

_NODES = model_nodes()


def _spec(node: ModelNode) -> dg.AssetSpec:
    return dg.AssetSpec(
        list(node.key),
        deps=[list(parent) for parent in node.parents],
        group_name="warehouse",
        description=node.description,
        kinds={"sql", "duckdb"},
        metadata={"grain": ", ".join(node.grain)},
    )


@dg.multi_asset(
    specs=[_spec(node) for node in _NODES],
    check_specs=[
        dg.AssetCheckSpec("audits", asset=list(node.key), description="SQLMesh's audits of the model")
        for node in _NODES
    ],
    name="warehouse",
)
def warehouse() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Build and audit all models; a broken promise leaves the previous warehouse in place."""
    try:
        built = build_warehouse(current_settings())
    except AuditError as error:
        for name in sorted({audit.model for audit in error.failed}):
            found = {audit.audit: audit.rows for audit in error.failed if audit.model == name}
            yield dg.AssetCheckResult(passed=False, asset_key=name.split("."), check_name="audits", metadata=found)
        raise
    models = {model.name: model for model in built}
    for node in _NODES:
        key, model = list(node.key), models[".".join(node.key)]
        yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": model.rows, "seconds": model.seconds})
        yield dg.AssetCheckResult(
            passed=True, asset_key=key, check_name="audits", metadata={"passed": model.audits, "rows": model.rows}
        )


warehouse_assets = [warehouse]
