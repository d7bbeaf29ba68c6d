"""How people and jobs find each other: scouts, applications, hires."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from marketplace.columns import Bools, Floats, Ints, counted_ids, ids, numbers, times, words
from marketplace.demand import Jobs
from marketplace.mess import export
from marketplace.people import People
from marketplace.seasons import events
from marketplace.spec import DAY_US, HOUR_US, MarketplaceSpec
from marketplace.tables import TRUTH_TABLES
from marketplace.vocabulary import APPLICATION_SOURCES, APPLICATION_STATUSES, ROLE_FAMILIES, SCOUT_REPLIES

__all__ = ["Applications", "Fit", "Scouts", "applications_table", "fit", "make_applications", "make_scouts"]
__all__ += ["recommendation_truth", "scouts_table"]

_OPTIONS: Final = 8
"""Open jobs that a person, or people that a company, looks at before choosing one."""
_OPEN_DAYS: Final = 110
_FAMILIES: Final = np.asarray(ROLE_FAMILIES, dtype=np.int64)
_REJECTED, _WITHDRAWN, _HIRED, _PENDING = range(4)
_EXPECTED_YEARS: Final = np.array([0.0, 2.5, 7.0, 11.0])
"""Of experience, by code of seniority."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How person and job fit, (m,) each."""

    overlap_share: Floats
    role_match: Floats
    rate_gap: Floats
    """Log of what the person asks over the middle of the budget."""
    experience_gap: Floats
    """Years wanted that the person lacks, over 5."""
    hours_gap: Floats
    """Hours a week that the person cannot give, over 10."""
    remote_clash: Bools
    english_clash: Bools

    @property
    def hire_log_odds(self) -> Floats:
        """What fit alone adds to the log odds of a hire."""
        odds = 2.9 * (self.overlap_share - 0.5) + 1.3 * (self.role_match - 0.7)
        odds = odds - 2.6 * np.clip(self.rate_gap, -0.15, 0.6) - 0.9 * np.clip(self.experience_gap, 0.0, 2.0)
        odds = odds - 0.5 * np.clip(self.hours_gap, 0.0, 2.0) - 0.5 * self.remote_clash - 0.9 * self.english_clash
        result: Floats = odds
        return result


@dataclass(frozen=True, slots=True)
class Scouts:
    """Scout messages in the order of their times; `reply` is a code of SCOUT_REPLIES or -1 without one."""

    who: Ints
    job: Ints
    sent: Ints
    reply: Ints
    replied: Ints


@dataclass(frozen=True, slots=True)
class Applications:
    """Applications of a part in the order of their times."""

    who: Ints
    job: Ints
    applied: Ints
    decided: Ints
    scouted: Bools
    status: Ints
    probability: Floats
    """Of a hire, given latent traits and job."""

    @property
    def hired(self) -> Ints:
        """Rows that ended in a hire."""
        return np.flatnonzero(self.status == _HIRED)


def fit(people: People, who: Ints, jobs: Jobs, job: Ints, asked: Floats) -> Fit:
    """Return how people and jobs fit, row by row; `asked` is what the person asks, in log yen an hour."""
    overlap = np.bitwise_count(people.mask[who] & jobs.mask[job])
    role, wanted = people.role[who], jobs.role[job]
    return Fit(
        overlap_share=overlap / np.bitwise_count(jobs.mask[job]),
        role_match=np.where(role == wanted, 1.0, np.where(_FAMILIES[role] == _FAMILIES[wanted], 0.5, 0.0)),
        rate_gap=asked - jobs.budget[job],
        experience_gap=(_EXPECTED_YEARS[jobs.seniority[job]] - people.years[who]) / 5.0,
        hours_gap=(jobs.hours_week[job] - people.hours_week[who]) / 10.0,
        remote_clash=people.remote[who] > jobs.remote[job],
        english_clash=jobs.english[job] & (people.english[who] < 2),
    )


def make_scouts(spec: MarketplaceSpec, part: int, people: People, jobs: Jobs) -> Scouts:
    """Draw scout messages: companies look at strong people, and choose by skills, role and budget."""
    rng = spec.stream("scouts", part)
    weeks = (people.active_until - people.active_from) / (7 * DAY_US)
    rate = 0.036 * np.exp(0.35 * people.skill + 0.25 * people.business)
    who, at = events(rng, rate * weeks, people.active_from + DAY_US, people.active_until)
    who, job, at = _choose(rng, people, jobs, who, at, eagerness=2.2)
    asked = people.value_at(who, at) + people.ask[who]
    match = fit(people, who, jobs, job, asked)
    odds = (
        -1.5 + 2.0 * (match.overlap_share - 0.5) + (match.role_match - 0.7) - 2.0 * np.clip(match.rate_gap, -0.5, 0.5)
    )
    m = len(who)
    accepted = rng.random(m) < 1.0 / (1.0 + np.exp(-odds))
    declined = ~accepted & (rng.random(m) < 0.4)
    replied = at + (rng.exponential(2.0, m) * DAY_US).astype(np.int64) + HOUR_US
    answered = (accepted | declined) & (replied < spec.end_us)
    reply = np.where(answered, np.where(accepted, 0, 1), -1)
    return Scouts(who=who, job=job, sent=at, reply=reply, replied=replied)


def make_applications(spec: MarketplaceSpec, part: int, people: People, jobs: Jobs, scouts: Scouts) -> Applications:
    """Draw applications, direct and after an accepted scout, and how they end; a person applies to a job once."""
    rng = spec.stream("applications", part)
    weeks = (people.active_until - people.active_from) / (7 * DAY_US)
    who, at = events(rng, 0.026 * np.exp(0.5 * people.effort) * weeks, people.active_from + DAY_US, people.active_until)
    who, job, at = _choose(rng, people, jobs, who, at, eagerness=1.1)
    follows = np.flatnonzero((scouts.reply == 0) & (rng.random(len(scouts.who)) < 0.85))
    scouted = np.arange(len(who) + len(follows)) >= len(who)
    who = np.concatenate([who, scouts.who[follows]])
    job = np.concatenate([job, scouts.job[follows]])
    at = np.concatenate([at, scouts.replied[follows] + 1_000_000])
    order = np.lexsort((job, who, at))
    order = order[at[order] < spec.end_us]
    _, first = np.unique(who[order] * len(jobs) + job[order], return_index=True)
    order = order[np.sort(first)]
    who, job, at, scouted = who[order], job[order], at[order], scouted[order]
    asked = people.value_at(who, at) + people.ask[who]
    odds = -0.2 + fit(people, who, jobs, job, asked).hire_log_odds + 0.3 * scouted + jobs.ease[job]
    odds += 0.65 * people.skill[who] + 0.4 * people.business[who]
    probability = 1.0 / (1.0 + np.exp(-odds))
    m = len(who)
    decided = at + (rng.gamma(2.0, 6.0, m) * DAY_US).astype(np.int64) + HOUR_US
    refused = np.where(rng.random(m) < 0.15, _WITHDRAWN, _REJECTED)
    status = np.where(rng.random(m) < probability, _HIRED, refused)
    status = np.where(decided < spec.end_us, status, _PENDING)
    return Applications(
        who=who, job=job, applied=at, decided=decided, scouted=scouted, status=status, probability=probability
    )


def scouts_table(spec: MarketplaceSpec, part: int, people: People, scouts: Scouts) -> pa.Table:
    """Return the scout messages; a row is exported with its reply."""
    rng = spec.stream("scout_rows", part)
    silent = scouts.reply < 0
    columns = {
        "scout_id": counted_ids("s", part, len(scouts.who)),
        "job_id": ids("j", scouts.job + 1),
        "candidate_id": ids("c", people.first + scouts.who),
        "sent_at": times(scouts.sent),
        "replied_at": times(scouts.replied, silent),
        "reply": words(SCOUT_REPLIES, np.maximum(scouts.reply, 0), silent),
    }
    return export(rng, "scouts", columns, np.where(silent, scouts.sent, scouts.replied))


def applications_table(spec: MarketplaceSpec, part: int, people: People, applications: Applications) -> pa.Table:
    """Return the applications; a row is exported with its decision."""
    rng = spec.stream("application_rows", part)
    pending = applications.status == _PENDING
    columns = {
        "application_id": counted_ids("a", part, len(applications.who)),
        "job_id": ids("j", applications.job + 1),
        "candidate_id": ids("c", people.first + applications.who),
        "applied_at": times(applications.applied),
        "source": words(APPLICATION_SOURCES, applications.scouted.astype(np.int64)),
        "status": words(APPLICATION_STATUSES, applications.status),
        "decided_at": times(applications.decided, pending),
    }
    return export(rng, "applications", columns, np.where(pending, applications.applied, applications.decided))


def recommendation_truth(part: int, people: People, applications: Applications) -> pa.Table:
    """Return the true probability of a hire of each application."""
    columns = [
        counted_ids("a", part, len(applications.who)),
        ids("j", applications.job + 1),
        ids("c", people.first + applications.who),
        numbers(applications.probability),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH_TABLES["recommendation"])


def _choose(
    rng: np.random.Generator,
    people: People,
    jobs: Jobs,
    who: Ints,
    at: Ints,
    *,
    eagerness: float,
) -> tuple[Ints, Ints, Ints]:
    """Choose a job that is open at the time for each event; who finds none open goes away."""
    newest = np.searchsorted(jobs.opened, at, side="right")
    oldest = np.searchsorted(jobs.opened, at - _OPEN_DAYS * DAY_US)
    reach = np.maximum(newest - oldest, 1)
    options = np.minimum(
        oldest[:, None] + (rng.random((len(who), _OPTIONS)) * reach[:, None]).astype(np.int64), len(jobs) - 1
    )
    is_open = (jobs.opened[options] <= at[:, None]) & (jobs.closed[options] > at[:, None])
    flat, seen = np.repeat(who, _OPTIONS), options.ravel()
    asked = people.value_at(flat, np.repeat(at, _OPTIONS)) + people.ask[flat]
    match = fit(people, flat, jobs, seen, asked)
    liking = 1.5 * match.overlap_share + 1.6 * match.role_match - 1.5 * np.abs(match.rate_gap)
    liking = (eagerness * liking).reshape(options.shape) + rng.gumbel(size=options.shape)
    best = np.argmax(np.where(is_open, liking, -np.inf), axis=1)
    found = np.flatnonzero(is_open.any(axis=1))
    return who[found], options[found, best[found]], at[found]
