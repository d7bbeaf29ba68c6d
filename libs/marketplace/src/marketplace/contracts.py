"""What comes of hires: contracts, renewals, evaluations and invoices."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from marketplace import text
from marketplace.columns import Floats, Ints, counted_ids, days, ids, numbers, pick, times
from marketplace.demand import Jobs
from marketplace.matching import Applications, fit
from marketplace.mess import export
from marketplace.people import People
from marketplace.spec import DAY_US, MarketplaceSpec
from marketplace.tables import TRUTH_TABLES

__all__ = ["Contracts", "contract_tables", "hourly_rate_truth", "make_contracts"]
__all__ += ["evaluation_tables", "rating_moments"]

_TERM_DAYS: Final = 90
_RATING_SCALE: Final = 0.36
"""Of the logistic noise of a rating; its standard deviation is 1.81 times that."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of a part; each array is (m,)."""

    application: Ints
    """Row among the part's applications."""
    who: Ints
    job: Ints
    signed: Ints
    started: Ints
    renewals: Ints
    hours_week: Ints
    rate_yen: Ints
    expected_log_rate: Floats
    noise_sd: Floats
    skill_mean: Floats
    """Middle of the skill ratings before they are cut to 1 to 5."""
    business_mean: Floats

    @property
    def ended(self) -> Ints:
        """Last instant: terms of 90 days, the first and each renewed."""
        return self.started + (1 + self.renewals) * _TERM_DAYS * DAY_US

    def __len__(self) -> int:
        """Return m."""
        return len(self.who)


def rating_moments(mean: Floats) -> tuple[Floats, Floats]:
    """Return expectation and standard deviation of a rating: logistic noise around `mean`, rounded, cut to 1 to 5.

    With F the logistic function and s its scale, P(rating > k) = F((mean - k - 0.5) / s) for k = 1 to 4, so
    E = 1 + sum of P(rating > k) and E of the square = 1 + sum of (2k + 1) P(rating > k).
    """
    steps = np.arange(1.0, 5.0)
    above = 1.0 / (1.0 + np.exp(-(mean[:, None] - steps - 0.5) / _RATING_SCALE))
    expected = 1.0 + above.sum(axis=1)
    square = 1.0 + above @ (2.0 * steps + 1.0)
    return expected, np.sqrt(np.maximum(square - expected**2, 0.0))


def make_contracts(
    spec: MarketplaceSpec, part: int, people: People, jobs: Jobs, applications: Applications
) -> Contracts:
    """Draw the contract of each hire that is signed within the data."""
    rng = spec.stream("contracts", part)
    hired = applications.hired
    signed = applications.decided[hired] + (rng.uniform(0.5, 7.0, len(hired)) * DAY_US).astype(np.int64)
    within = signed < spec.end_us
    hired, signed = hired[within], signed[within]
    who, job = applications.who[hired], applications.job[hired]
    m = len(hired)
    value = people.value_at(who, signed)
    match = fit(people, who, jobs, job, value + people.ask[who])
    expected = 0.68 * (value + 0.5 * people.ask[who]) + 0.32 * jobs.budget[job] - 0.0002 * jobs.hours_week[job]
    noise_sd = 0.12 + 0.02 * (people.remote[who] == 2) + 0.03 * (jobs.seniority[job] == 3)
    rate = np.exp(expected + noise_sd * rng.standard_normal(m))
    skill, business = people.skill[who], people.business[who]
    going_well = -0.5 + 0.6 * skill + 0.6 * business + (match.overlap_share - 0.5)
    renewals = np.minimum(rng.geometric(1.0 - 0.75 / (1.0 + np.exp(-going_well))) - 1, 10)
    return Contracts(
        application=hired,
        who=who,
        job=job,
        signed=signed,
        started=(signed + (rng.uniform(2.0, 25.0, m) * DAY_US).astype(np.int64)) // DAY_US * DAY_US,
        renewals=renewals,
        hours_week=np.minimum(people.hours_week[who], jobs.hours_week[job]),
        rate_yen=(np.rint(rate / 50) * 50).astype(np.int64),
        expected_log_rate=expected,
        noise_sd=noise_sd,
        skill_mean=3.25 + 0.72 * skill + 0.5 * (match.overlap_share - 0.5) + 0.12 * np.log1p(people.years[who] / 5.0),
        business_mean=3.35 + 0.74 * business + 0.06 * people.english[who] - 0.2 * match.english_clash,
    )


def contract_tables(spec: MarketplaceSpec, part: int, people: People, contracts: Contracts) -> dict[str, pa.Table]:
    """Return contracts, contract_renewals and invoices."""
    rng = spec.stream("contract_rows", part)
    contract_id = counted_ids("t", part, len(contracts))
    columns = {
        "contract_id": contract_id,
        "application_id": pick(
            counted_ids("a", part, int(contracts.application.max(initial=-1)) + 1), contracts.application
        ),
        "job_id": ids("j", contracts.job + 1),
        "candidate_id": ids("c", people.first + contracts.who),
        "started_on": days(contracts.started),
        "ended_on": days(contracts.ended, contracts.ended >= spec.end_us),
        "rate_yen": numbers(contracts.rate_yen),
        "hours_week": numbers(contracts.hours_week, rng.random(len(contracts)) < 0.04),
        "signed_at": times(contracts.signed),
    }
    return {
        "contracts": export(rng, "contracts", columns, contracts.signed),
        "contract_renewals": _renewals(rng, spec, contracts, contract_id),
        "invoices": _invoices(rng, spec, part, contracts, contract_id),
    }


def evaluation_tables(
    spec: MarketplaceSpec, part: int, people: People, contracts: Contracts
) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Return contract_evaluations, and the truth of skill_experience and business_experience."""
    rng = spec.stream("evaluations", part)
    m = len(contracts)
    first = np.flatnonzero(rng.random(m) < 0.85)
    counts = rng.binomial(contracts.renewals, 0.45)
    again = np.repeat(np.arange(m, dtype=np.int64), counts)
    row = np.concatenate([first, again])
    term = np.concatenate([np.ones(len(first)), 1.0 + np.ceil(rng.random(len(again)) * contracts.renewals[again])])
    at = contracts.started[row] + ((term * _TERM_DAYS - rng.uniform(1.0, 20.0, len(row))) * DAY_US).astype(np.int64)
    kept = at < spec.end_us
    row, at = row[kept], at[kept]
    n = len(row)
    skill_mean, business_mean = contracts.skill_mean[row], contracts.business_mean[row]
    skill = np.clip(np.rint(skill_mean + rng.logistic(0.0, _RATING_SCALE, n)), 1, 5)
    business = np.clip(np.rint(business_mean + rng.logistic(0.0, _RATING_SCALE, n)), 1, 5)
    evaluation_id = counted_ids("e", part, n)
    remarks = text.comments((skill + business) / 2.0, rng.random(n) < 0.2)
    columns = {
        "evaluation_id": evaluation_id,
        "contract_id": pick(counted_ids("t", part, m), row),
        "candidate_id": ids("c", people.first + contracts.who[row]),
        "evaluated_at": times(at),
        "skill_rating": numbers(skill.astype(np.int64), rng.random(n) < 0.06),
        "business_rating": numbers(business.astype(np.int64), rng.random(n) < 0.08),
        "comment": remarks.take(pa.array(np.arange(n), mask=rng.random(n) < 0.4)),
    }
    truth = {}
    for name, mean in (("skill_experience", skill_mean), ("business_experience", business_mean)):
        expected, sd = rating_moments(mean)
        arrays = [evaluation_id, numbers(expected), numbers(sd)]
        truth[name] = pa.Table.from_arrays(arrays, schema=TRUTH_TABLES[name])
    return export(rng, "contract_evaluations", columns, at), truth


def hourly_rate_truth(part: int, contracts: Contracts) -> pa.Table:
    """Return the true conditional mean of each contract's log rate."""
    arrays = [
        counted_ids("t", part, len(contracts)),
        numbers(contracts.expected_log_rate),
        numbers(contracts.noise_sd),
    ]
    return pa.Table.from_arrays(arrays, schema=TRUTH_TABLES["hourly_rate"])


def _renewals(rng: np.random.Generator, spec: MarketplaceSpec, contracts: Contracts, contract_id: pa.Array) -> pa.Table:
    row = np.repeat(np.arange(len(contracts), dtype=np.int64), contracts.renewals)
    number = _position(row, contracts.renewals) + 1
    at = contracts.started[row] + ((number * _TERM_DAYS - rng.uniform(1.0, 10.0, len(row))) * DAY_US).astype(np.int64)
    kept = at < spec.end_us
    row, number, at = row[kept], number[kept], at[kept]
    rate = contracts.rate_yen[row] * np.exp(0.025 * number)
    columns = {
        "contract_id": pick(contract_id, row),
        "renewed_at": times(at),
        "rate_yen": numbers((np.rint(rate / 50) * 50).astype(np.int64)),
    }
    return export(rng, "contract_renewals", columns, at)


def _invoices(
    rng: np.random.Generator, spec: MarketplaceSpec, part: int, contracts: Contracts, contract_id: pa.Array
) -> pa.Table:
    """Bill each month that the contract touches; a row is exported with its payment."""
    first = contracts.started.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    last = np.minimum(contracts.ended, spec.end_us).astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    counts = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(contracts), dtype=np.int64), counts)
    month = first[row] + _position(row, counts)
    month_us = month.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    issued = (month + 1).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    issued += (rng.uniform(0.3, 6.0, len(row)) * DAY_US).astype(np.int64)
    kept = issued < spec.end_us
    row, month_us, issued = row[kept], month_us[kept], issued[kept]
    n = len(row)
    hours = np.rint(contracts.hours_week[row] * 4.3 * rng.uniform(0.6, 1.1, n) * 4) / 4
    rate = contracts.rate_yen[row] * np.exp(0.025 * ((issued - contracts.started[row]) // (_TERM_DAYS * DAY_US)))
    slow = rng.random(n) < 0.08
    paid = issued + ((rng.uniform(12.0, 29.5, n) + slow * rng.exponential(15.0, n)) * DAY_US).astype(np.int64)
    open_still = paid >= spec.end_us
    columns = {
        "invoice_id": counted_ids("v", part, n),
        "contract_id": pick(contract_id, row),
        "month": days(month_us),
        "hours": numbers(hours),
        "amount_yen": numbers(np.rint(hours * rate).astype(np.int64)),
        "issued_at": times(issued),
        "paid_at": times(paid, open_still),
    }
    return export(rng, "invoices", columns, np.where(open_still, issued, paid))


def _position(row: Ints, counts: Ints) -> Ints:
    """Return 0, 1, ... within each run of equal rows, where row i runs `counts[i]` times."""
    starts = np.cumsum(counts) - counts
    return np.arange(len(row), dtype=np.int64) - starts[row]
