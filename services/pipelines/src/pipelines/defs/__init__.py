"""Dagster's view of the flow: declarations of assets only; the work is done in the packages beside."""
