"""Figures of the artefact cache as measures."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from inference import ArtifactCache
from serving.cache_measures import CacheMeasures
from serving.ledger import Ledger
from serving.metrics import measures_in


def test_each_look_is_counted_once_over_the_refreshes(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    measures = measures_in(Ledger())
    registry = CollectorRegistry()
    registry.register(measures)
    kept = CacheMeasures("hourly_rate", measures, cache)
    for hits in (2, 2, 5):
        cache.figures.hits = hits
        kept.refresh()

    labels = {"service": "hourly_rate", "result": "hit"}
    assert registry.get_sample_value("scoring_artifact_cache_lookups_total", labels) == 5


def test_without_a_cache_there_are_zeros() -> None:
    measures = measures_in(Ledger())
    registry = CollectorRegistry()
    registry.register(measures)
    kept = CacheMeasures("hourly_rate", measures, None)
    kept.measure()
    kept.refresh()

    assert registry.get_sample_value("scoring_artifact_cache_bytes", {"service": "hourly_rate"}) == 0
