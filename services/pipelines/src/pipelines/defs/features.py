"""Feast's registry and the online store as assets."""

import os
import time

import dagster as dg

from pipelines.features import apply, materialize
from pipelines.features.pool import publish_pool
from pipelines.warehouse.publish import FEATURE_TABLES
from pipelines.warehouse.settings import offers_home
from pipelines.warehouse.source_end import source_end

__all__ = ["feast_assets", "online_assets"]

_VIEWS = [["published_features", table] for table in FEATURE_TABLES if table != "candidate_pool"]


@dg.asset(group_name="feast", deps=_VIEWS, kinds={"feast"})
def feast_apply() -> dg.MaterializeResult[None]:
    """Feast's registry as `feature_repo` declares it; refuses what reaches a prohibited attribute."""
    started = time.perf_counter()
    services = apply(offers_home())
    return dg.MaterializeResult(metadata={"feature_services": list(services), "seconds": time.perf_counter() - started})


@dg.asset(group_name="online", deps=[feast_apply], kinds={"feast", "redis"})
def online_store() -> dg.MaterializeResult[None]:
    """The latest row of each entity in the online store."""
    started = time.perf_counter()
    views = materialize(source_end(offers_home()), offers_home())
    return dg.MaterializeResult(metadata={"views": list(views), "seconds": time.perf_counter() - started})


@dg.asset(group_name="online", deps=[["published_features", "candidate_pool"]], kinds={"redis"})
def candidate_pool() -> dg.MaterializeResult[None]:
    """Ids of the candidates who are open to offers, packed, where shortlists read them."""
    started = time.perf_counter()
    size = publish_pool(offers_home(), os.environ.get("OFFERS_FEAST_PROJECT", "offers"))
    return dg.MaterializeResult(metadata={"dagster/row_count": size, "seconds": time.perf_counter() - started})


feast_assets = [feast_apply]
online_assets = [online_store, candidate_pool]
