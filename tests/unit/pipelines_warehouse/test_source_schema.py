"""What the SQL project believes of its sources is what the marketplace writes."""

import pyarrow as pa
import yaml

from marketplace.tables import KEYS, SOURCE_TABLES
from pipelines.warehouse.project_config import PROJECT

TYPES = {
    pa.string(): "TEXT",
    pa.float64(): "DOUBLE",
    pa.int64(): "BIGINT",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    pa.list_(pa.string()): "TEXT[]",
}


def test_external_models_are_the_source_tables() -> None:
    declared = {
        model["name"]: model["columns"] for model in yaml.safe_load((PROJECT / "external_models.yaml").read_text())
    }

    for table, schema in SOURCE_TABLES.items():
        assert declared[f"source.{table}"] == {field.name: TYPES[field.type] for field in schema}


def test_every_source_table_is_staged_at_its_key() -> None:
    for table, key in KEYS.items():
        text = (PROJECT / "models" / "staging" / f"{table}.sql").read_text()
        grain = key[0] if len(key) == 1 else f"({', '.join(key)})"
        assert f"grain {grain}," in text
