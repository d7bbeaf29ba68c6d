"""Identity checks: a subset of the people, of whom it becomes known where they live."""

import numpy as np
import pyarrow as pa

from marketplace.columns import Floats, counted_ids, ids, numbers, times, words
from marketplace.mess import export
from marketplace.people import People
from marketplace.seasons import events
from marketplace.spec import DAY_US, MarketplaceSpec
from marketplace.tables import TRUTH_TABLES
from marketplace.vocabulary import CHECK_METHODS

__all__ = ["abroad_probability", "identity_checks"]


def abroad_probability(share: Floats) -> Floats:
    """Return the probability that a check says abroad, of people who spend `share` of their time there.

    Between the clear cases the outcome depends on papers: log odds 8.5 * (share - 0.54).
    """
    probability: Floats = 1.0 / (1.0 + np.exp(-8.5 * (share - 0.54)))
    return probability


def identity_checks(spec: MarketplaceSpec, part: int, people: People) -> tuple[pa.Table, pa.Table]:
    """Return the source table and its truth; a third of the people may be checked, some again."""
    rng = spec.stream("checks", part)
    chosen = rng.random(len(people)) < 0.36
    expected = np.where(chosen, 1.9, 0.0) * np.minimum((people.active_until - people.active_from) / (500 * DAY_US), 1.5)
    who, at = events(rng, expected, people.active_from + 20 * DAY_US, people.active_until)
    order = np.lexsort((at, who))
    who, at = who[order], at[order]
    probability = abroad_probability(people.share_abroad(who, at))
    n = len(who)
    check_id = counted_ids("i", part, n)
    candidate_id = ids("c", people.first + who)
    columns = {
        "check_id": check_id,
        "candidate_id": candidate_id,
        "checked_at": times(at),
        "lives_abroad": pa.array(rng.random(n) < probability),
        "method": words(CHECK_METHODS, rng.choice(3, n, p=[0.6, 0.25, 0.15])),
    }
    truth = pa.Table.from_arrays(
        [check_id, candidate_id, times(at), numbers(probability)], schema=TRUTH_TABLES["residency"]
    )
    return export(rng, "identity_checks", columns, at), truth
