"""The adapter to Feast: point-in-time joins in, Arrow out. pandas ends in this module."""

from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.training.errors import FeatureError
from pipelines.training.feature_plan import FeaturePlan
from pipelines.training.label_rows import LABEL_TIME

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["retrieve"]

_ROW = "training_row"


def retrieve(store: "FeatureStore", plan: FeaturePlan, rows: pa.Table, keys: tuple[str, ...]) -> pa.Table:
    """Return the plan's stored features as known at each row's `label_time`, one column a feature, in row order.

    The service's own references are asked for, and the inputs of its on-demand views with them: those are then
    computed by the very function that the service calls, on codes, and not by Feast on words. Rows that were
    created after the label time do not count, or late backfills would leak.

    Raises FeatureError when Feast gives another number of rows than asked.
    """
    entity_frame = pa.table(
        {
            **{key: rows[key] for key in keys},
            "event_timestamp": rows[LABEL_TIME],
            _ROW: pa.array(range(rows.num_rows), pa.int64()),
        }
    ).to_pandas()
    references = [feature.reference for feature in plan.stored]
    job = store.get_historical_features(
        entity_df=entity_frame, features=references, full_feature_names=True, filter_by_created_timestamp=True
    )
    given = job.to_arrow().sort_by(_ROW)
    if given.num_rows != rows.num_rows:
        raise FeatureError(f"the point-in-time join gave {given.num_rows} rows for {rows.num_rows}")
    return pa.table({feature.name: given[feature.reference.replace(":", "__")] for feature in plan.stored})
