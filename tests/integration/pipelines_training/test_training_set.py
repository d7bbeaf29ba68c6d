"""Point-in-time training sets through Feast, and the leaks that they refuse."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.training import (
    FeatureError,
    LabelError,
    LeakageError,
    ModelDeclaration,
    ProhibitedFeatureError,
    build_training_set,
    load_training_set,
    save_training_set,
)
from pipelines.training.declaration import LeakageLimits
from pipelines.training.feature_plan import plan_features
from pipelines.training.label_rows import query_labels
from pipelines.training.leakage import check_times
from pipelines.training.point_in_time import retrieve


def test_each_row_holds_what_was_known_at_its_label_time(project: Any, pay: ModelDeclaration) -> None:
    made = build_training_set(pay, project.store, project.labels)

    facts = pq.read_table(project.directory / "facts.parquet").to_pylist()
    known = {(row["person_id"], row["event_timestamp"]): row for row in facts}
    names = [feature.name for feature in made.features]
    cities = made.features[names.index("city")].categories
    for row, values in zip(made.rows.to_pylist(), made.matrix, strict=True):
        fact = known[row["person_id"], row["label_time"] - timedelta(days=3)]
        given = dict(zip(names, values.tolist(), strict=True))
        assert cities[int(given["city"])] == fact["city"]
        assert given["leads"] == float(fact["leads"])
        assert given["mood"] == fact["mood"]
        assert np.isnan(given["years"]) if fact["years"] is None else given["years"] == fact["years"]


def test_on_demand_features_are_those_that_feast_computes(project: Any, pay: ModelDeclaration) -> None:
    made = build_training_set(pay, project.store, project.labels)
    entity_frame = made.rows.select(["person_id", "label_time"]).rename_columns(["person_id", "event_timestamp"])

    given = project.store.get_historical_features(
        entity_df=entity_frame.to_pandas(), features=project.store.get_feature_service("pay")
    ).to_df()

    by_feast = given.sort_values(["event_timestamp", "person_id"])["seniority"].to_numpy()
    column = [feature.name for feature in made.features].index("seniority")
    ours = made.matrix[np.lexsort((made.rows["person_id"].to_numpy(), made.rows["label_time"].to_numpy())), column]
    assert np.array_equal(by_feast, ours, equal_nan=True)
    assert "age_of_account" not in [feature.name for feature in made.inputs]


def test_the_fingerprint_follows_the_data_and_nothing_else(project: Any, pay: ModelDeclaration, tmp_path: Any) -> None:
    first = build_training_set(pay, project.store, project.labels)
    again = build_training_set(pay, project.store, project.labels)
    fewer = replace(pay, label_query=pay.label_query + " WHERE person_id <> 'p0001'")
    save_training_set(first, tmp_path)
    loaded = load_training_set(tmp_path)

    assert first.fingerprint == again.fingerprint == loaded.fingerprint
    assert first.fingerprint != build_training_set(fewer, project.store, project.labels).fingerprint
    assert np.array_equal(first.matrix, loaded.matrix, equal_nan=True)
    assert (loaded.features, loaded.on_demand, loaded.rows) == (first.features, first.on_demand, first.rows)


def test_a_value_from_after_the_label_is_caught(project: Any, pay: ModelDeclaration) -> None:
    """The join is asked as of five weeks after the labels, as a careless label query or store would."""
    plan = plan_features(project.store, pay)
    rows = query_labels(pay, project.labels, plan.views)
    later = pc.add(rows["label_time"], pa.scalar(timedelta(weeks=5)))
    late = rows.set_column(rows.column_names.index("label_time"), "label_time", later)
    timely, future = (retrieve(project.store, plan, asked, pay.entities) for asked in (rows, late))

    check_times(plan, rows, timely, LeakageLimits())
    with pytest.raises(LeakageError, match=r"person_facts.*only known after the label's time"):
        check_times(plan, rows, future, LeakageLimits())


def test_a_feature_that_copies_the_label_is_caught(project: Any, pay: ModelDeclaration, tmp_path: Any) -> None:
    leaking = _with_view(
        project, tmp_path, "copied", "SELECT person_id, label_time AS event_timestamp, label AS answer"
    )

    with pytest.raises(LeakageError, match="feature answer alone predicts the label with R²"):
        build_training_set(replace(pay, feature_service=leaking), project.store, project.labels)


def test_a_view_whose_rows_lie_after_the_labels_is_caught(project: Any, pay: ModelDeclaration, tmp_path: Any) -> None:
    late = _with_view(
        project,
        tmp_path,
        "afterwards",
        "SELECT DISTINCT person_id, TIMESTAMPTZ '2027-01-01 00:00:00+00' AS event_timestamp, 1.0::DOUBLE AS later",
    )

    with pytest.raises(LeakageError, match=r"afterwards.*at or before its time"):
        build_training_set(replace(pay, feature_service=late), project.store, project.labels)


def test_a_late_backfill_is_not_seen(project: Any, pay: ModelDeclaration, tmp_path: Any) -> None:
    """Rows that claim an early time but were created after all labels: Feast alone would join them."""
    backfilled = _with_view(
        project,
        tmp_path,
        "backfilled",
        """SELECT person_id, label_time - INTERVAL 1 DAY AS event_timestamp, label AS told,
            TIMESTAMPTZ '2027-01-01 00:00:00+00' AS created_timestamp""",
    )

    with pytest.raises(LeakageError, match=r"backfilled.*at or before its time"):
        build_training_set(replace(pay, feature_service=backfilled), project.store, project.labels)


@pytest.mark.parametrize("name", ["sex", "Nationality"])
def test_a_prohibited_feature_is_refused(project: Any, pay: ModelDeclaration, tmp_path: Any, name: str) -> None:
    service = _with_view(
        project, tmp_path, f"law_{name.lower()}", f'SELECT person_id, label_time AS event_timestamp, label AS "{name}"'
    )

    with pytest.raises(ProhibitedFeatureError, match=name):
        build_training_set(replace(pay, feature_service=service), project.store, project.labels)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT person_id, label_time FROM labels.pay", "no column label"),
        ("SELECT * FROM labels.pay WHERE false", "no rows"),
        ("SELECT person_id, label_time, NULL::DOUBLE AS label FROM labels.pay", "have no label"),
        ("SELECT person_id, label_time, -label AS label FROM labels.pay", "above 0"),
        ("SELECT person_id, label_time::TIMESTAMP AS label_time, label FROM labels.pay", "time zone"),
    ],
)
def test_a_label_query_that_cannot_be_trained_on_says_why(
    project: Any, pay: ModelDeclaration, query: str, reason: str
) -> None:
    with pytest.raises(LabelError, match=reason):
        build_training_set(replace(pay, label_query=query), project.store, project.labels)


def test_an_on_demand_view_that_no_function_stands_for_is_refused(project: Any, pay: ModelDeclaration) -> None:
    with pytest.raises(FeatureError, match="person_seniority"):
        build_training_set(replace(pay, on_demand=()), project.store, project.labels)


def _with_view(project: Any, directory: Any, name: str, select: str) -> str:
    """Add a feature view made of the label table to the project, and return a service of it and the facts."""
    import duckdb
    from feast import FeatureService, FeatureView, Field, FileSource
    from feast.types import Float64

    path = directory / f"{name}.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({select} FROM '{project.labels}/pay.parquet') TO '{path}' (FORMAT parquet)")
    columns = pq.read_schema(path).names
    created = "created_timestamp" if "created_timestamp" in columns else ""
    view = FeatureView(
        name=name,
        entities=[project.store.get_entity("person")],
        schema=[
            Field(name=column, dtype=Float64)
            for column in columns
            if column not in {"person_id", "event_timestamp", "created_timestamp"}
        ],
        source=FileSource(path=str(path), timestamp_field="event_timestamp", created_timestamp_column=created),
    )
    facts = project.store.get_feature_view("person_facts")
    service = FeatureService(name=f"{name}_service", features=[facts[["years", "city"]], view])
    project.store.apply([view, service])
    return f"{name}_service"
