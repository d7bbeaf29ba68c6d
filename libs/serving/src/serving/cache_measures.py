"""What the artefact cache did, and how large it is."""

from inference import ArtifactCache
from serving import metrics
from serving.measures import Measures

__all__ = ["CacheMeasures"]


class CacheMeasures:
    """Figures of one process's cache as measures; without a cache they stay zero."""

    def __init__(self, service: str, measures: Measures, cache: ArtifactCache | None) -> None:
        self._cache = cache
        self._hits = measures.cells(metrics.CACHE_LOOKUPS, service, "hit")
        self._misses = measures.cells(metrics.CACHE_LOOKUPS, service, "miss")
        self._bytes = measures.cells(metrics.CACHE_BYTES, service)
        self._entries = measures.cells(metrics.CACHE_ENTRIES, service)
        self._seen = (0, 0)

    def refresh(self) -> None:
        """Count what was looked up since the last call."""
        if self._cache is not None:
            figures = self._cache.figures
            hits, misses = self._seen
            self._hits[0] += figures.hits - hits
            self._misses[0] += figures.misses - misses
            self._seen = (figures.hits, figures.misses)
            self._bytes[0] = figures.size_bytes
            self._entries[0] = figures.entries

    def measure(self) -> None:
        """Look at the disk. Blocks: call it in a thread."""
        if self._cache is not None:
            self._cache.measure()
