"""The flow as Dagster assets: sources, warehouse, features, training sets, models, gates, online store."""
