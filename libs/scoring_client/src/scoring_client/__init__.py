"""The typed Python client of the scoring services."""
