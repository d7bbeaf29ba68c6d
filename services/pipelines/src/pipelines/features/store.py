"""Feast over the published features: open, apply, materialize."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.warehouse.settings import offers_home

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["FEATURE_REPOSITORY", "apply", "materialize", "open_store"]

FEATURE_REPOSITORY = Path(__file__).resolve().parents[5] / "feature_repo"
"""Where `feast` is called."""


def open_store(home: Path | None = None) -> "FeatureStore":
    """Open the feature store whose registry and tables lie under `home`, by default `OFFERS_HOME`.

    `OFFERS_HOME` is set for this process if `home` differs: Feast reads it whenever it opens the registry.
    """
    from feast import FeatureStore

    if home is not None and home != offers_home():
        os.environ["OFFERS_HOME"] = str(home)
    return FeatureStore(repo_path=str(FEATURE_REPOSITORY))


def apply(home: Path | None = None) -> tuple[str, ...]:
    """Register what `feature_repo` declares, as `feast apply` does, and return the names of the feature services.

    Raises ProhibitedFeatureError if a feature service reaches a prohibited attribute.
    """
    from feast.repo_operations import apply_total

    store = open_store(home)
    with _repository_modules(), redirect_stdout(io.StringIO()):
        apply_total(store.config, FEATURE_REPOSITORY, skip_source_validation=False)
    store = open_store(home)
    return tuple(sorted(service.name for service in store.list_feature_services()))


def materialize(end: datetime, home: Path | None = None) -> tuple[str, ...]:
    """Write the latest row of each entity up to `end` (UTC without zone) to the online store; return the views."""
    from datetime import timedelta

    store = open_store(home)
    views = [view for view in store.list_feature_views() if view.online]
    moment = end.replace(tzinfo=UTC)
    oldest = max((view.ttl or timedelta(days=400)) for view in views)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        store.materialize(start_date=moment - oldest, end_date=moment)
    return tuple(sorted(view.name for view in views))


@contextmanager
def _repository_modules() -> Iterator[None]:
    """Let the modules of the feature repository import each other, as on Feast's command line, and forget them after.

    One that stayed would name the tables of this home for the next.
    """
    path = str(FEATURE_REPOSITORY)
    sys.path.insert(0, path)
    try:
        with chdir(path):
            yield
    finally:
        sys.path.remove(path)
        for file in FEATURE_REPOSITORY.glob("*.py"):
            sys.modules.pop(file.stem, None)
