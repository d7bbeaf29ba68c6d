"""The form of the lineage file, which readers know without SQLMesh.

`{view: {column: ["source.table.column", …]}}`, and under `CONDITIONS` all source columns that any SQL on the way to
the view mentions, in values, joins and conditions.
"""

__all__ = ["CONDITIONS", "LINEAGE_FILE"]

LINEAGE_FILE = "lineage.json"
CONDITIONS = "*"
