"""Who the candidates are: the latent traits that everything else follows from, with noise.

No latent trait is written to a source table. Two decide most: `skill` and `business` strength, both standard normal
with correlation 0.3. `share_before` and `share_after` say which share of the time a person spends abroad before and
after a move.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from marketplace.columns import Bools, Floats, Ints
from marketplace.spec import DAY_US, YEAR_US, MarketplaceSpec
from marketplace.vocabulary import COUNTRIES, ROLES, SKILL_RARITY, SKILLS

__all__ = ["ROLE_LOG_RATE", "People", "make_people", "role_skill_weights"]

_ROLE_SHARES: Final = np.array([20, 14, 11, 8, 8, 5, 5, 4, 3, 4, 6, 4, 5, 3], dtype=np.float64)
ROLE_LOG_RATE: Final = np.array(
    [0.06, 0.0, 0.05, 0.08, 0.1, 0.12, 0.2, -0.15, 0.15, 0.18, -0.18, -0.1, 0.12, 0.02], dtype=np.float64
)
"""What a role is worth against the mean, in log yen an hour, by role code."""
_LOG_RATE: Final = float(np.log(2950.0))
_RARITY: Final = np.asarray(SKILL_RARITY, dtype=np.float64)

_ROLE_SKILLS: Final = (
    "python go java kotlin ruby php rust scala rails django laravel spring postgresql mysql redis aws docker graphql",
    "typescript javascript react vue nextjs nodejs graphql figma seo test_automation",
    "typescript javascript react nextjs nodejs python go ruby rails php laravel postgresql aws docker",
    "kotlin swift flutter java typescript react graphql test_automation figma",
    "aws gcp azure docker kubernetes terraform linux network security python go",
    "python scala java spark bigquery dbt airflow aws gcp postgresql statistics",
    "python pytorch llm statistics cpp spark gcp aws docker bigquery",
    "test_automation python javascript java agile linux docker",
    "security network linux aws cpp python go kubernetes",
    "people_management project_management agile product_strategy aws python java",
    "figma ui_design illustration ux_research javascript seo",
    "ux_research ui_design figma product_strategy statistics agile",
    "product_strategy agile project_management ux_research statistics seo people_management bigquery",
    "project_management agile people_management network csharp java",
)

_ABROAD_COUNTRIES: Final = np.array(
    [0, 24, 7, 5, 6, 5, 6, 5, 7, 9, 7, 7, 3, 6, 6, 2, 3, 4, 2, 2, 2, 1, 1, 2], dtype=np.float64
)
"""Where those abroad live, by country code."""


def role_skill_weights() -> Floats:
    """Return how typical each skill is of each role, (roles, skills), above 0."""
    weights = np.full((len(ROLES), len(SKILLS)), 0.04)
    for code, line in enumerate(_ROLE_SKILLS):
        for skill in line.split():
            position = SKILLS.index(skill)
            weights[code, position] = 3.0 * np.exp(-0.5 * _RARITY[position]) + 0.6
    return weights


@dataclass(frozen=True, slots=True)
class People:
    """Latent traits of the n candidates of one part; each array is (n,), times are microseconds since the epoch."""

    first: int
    """Number of the first candidate; the others follow."""
    start: int
    """First instant of the data."""
    created: Ints
    active_from: Ints
    active_until: Ints
    role: Ints
    years: Floats
    """Years in the occupation when the account was opened."""
    skill: Floats
    business: Floats
    effort: Floats
    """Log of how often the person is seen, standard normal."""
    skill_bits: Bools
    """(n, skills): what the person can do."""
    mask: NDArray[np.uint64]
    """`skill_bits` as bit masks."""
    english: Ints
    """Code of the English level that the person really has."""
    japanese_native: Bools
    value: Floats
    """Market value in log yen an hour at the start of the data."""
    ask: Floats
    """How much more than the market value the person asks, in log yen an hour."""
    hours_week: Ints
    remote: Ints
    share_before: Floats
    share_after: Floats
    moved_at: Ints
    country: Ints
    """Code of the country outside of Japan that the person has to do with."""
    has_code: Bools

    def __len__(self) -> int:
        """Return n."""
        return len(self.created)

    def share_abroad(self, who: Ints, at: Ints) -> Floats:
        """Return which share of the time the people `who` (m,) spend abroad around the times `at` (m,)."""
        share: Floats = np.where(at < self.moved_at[who], self.share_before[who], self.share_after[who])
        return share

    def value_at(self, who: Ints, at: Ints) -> Floats:
        """Return the market value of the people `who` at the times `at`: it grows by 4 % a year and by experience."""
        elapsed = (at - self.start) / YEAR_US
        experience = np.maximum(at - self.created[who], 0) / YEAR_US
        value: Floats = self.value[who] + 0.04 * elapsed + 0.02 * experience
        return value


def make_people(spec: MarketplaceSpec, part: int) -> People:
    """Draw the candidates of one part."""
    rng = spec.stream("people", part)
    first, end = spec.part_range(part)
    n = end - first
    created, active_from, active_until = _lives(rng, spec, n)
    role = rng.choice(len(ROLES), n, p=_ROLE_SHARES / _ROLE_SHARES.sum())
    years = np.clip(rng.gamma(2.2, 3.4, n), 0.0, 35.0)
    skill = rng.standard_normal(n)
    business = 0.3 * skill + np.sqrt(1 - 0.09) * rng.standard_normal(n)
    skill_bits = _skills(rng, role, years, skill)
    share_before, share_after, moved_at = _shares(rng, active_from, active_until)
    away = share_before > 0.5
    native = rng.random(n) > np.where(away, 0.4, 0.07)
    english = np.clip(np.rint(1.1 + 1.1 * away + 1.3 * ~native + 0.9 * rng.standard_normal(n)), 0, 4).astype(np.int64)
    rarity = (skill_bits @ _RARITY) / np.maximum(skill_bits.sum(axis=1), 1)
    value = _LOG_RATE + ROLE_LOG_RATE[role] + 0.27 * np.log1p(years / 2.0) + 0.12 * skill + 0.07 * business
    value += 0.22 * (rarity - 1.9) + 0.03 * english + 0.04 * rng.standard_normal(n)
    hours_week = rng.choice(np.array([5, 8, 10, 15, 20, 30, 40]), n, p=[0.1, 0.17, 0.25, 0.16, 0.15, 0.08, 0.09])
    code_share = np.where(role <= 8, 0.5, 0.1)
    return People(
        first=first,
        start=spec.start_us,
        created=created,
        active_from=active_from,
        active_until=active_until,
        role=role,
        years=years,
        skill=skill,
        business=business,
        effort=rng.standard_normal(n),
        skill_bits=skill_bits,
        mask=skill_bits.astype(np.uint64) @ (np.uint64(1) << np.arange(len(SKILLS), dtype=np.uint64)),
        english=english,
        japanese_native=native,
        value=value,
        ask=0.12 * rng.standard_normal(n) + 0.03,
        hours_week=hours_week,
        remote=rng.choice(3, n, p=[0.08, 0.3, 0.62]),
        share_before=share_before,
        share_after=share_after,
        moved_at=moved_at,
        country=rng.choice(len(COUNTRIES), n, p=_ABROAD_COUNTRIES / _ABROAD_COUNTRIES.sum()),
        has_code=rng.random(n) < code_share,
    )


def _lives(rng: np.random.Generator, spec: MarketplaceSpec, n: int) -> tuple[Ints, Ints, Ints]:
    """Return when accounts were opened (a third before the data starts), and from and until when they are used."""
    span = spec.end_us - spec.start_us - 10 * DAY_US
    before = spec.start_us - (rng.random(n) * 2 * YEAR_US).astype(np.int64)
    within = spec.start_us + (rng.random(n) ** 0.85 * span).astype(np.int64)
    created = np.where(rng.random(n) < 0.33, before, within)
    active_from = np.maximum(created, spec.start_us)
    lasting = (rng.exponential(1000.0, n) * DAY_US).astype(np.int64) + 21 * DAY_US
    return created, active_from, np.minimum(active_from + lasting, spec.end_us)


def _skills(rng: np.random.Generator, role: Ints, years: Floats, skill: Floats) -> Bools:
    """Draw skill sets without replacement, weighted by role (Gumbel top-k); the experienced have more."""
    n = len(role)
    counts = np.clip(2 + rng.poisson(np.exp(0.75 + 0.3 * skill + 0.25 * np.log1p(years / 5.0))), 1, 16)
    scores = np.log(role_skill_weights())[role] + rng.gumbel(size=(n, len(SKILLS)))
    order = np.argsort(-scores, axis=1)
    bits = np.zeros((n, len(SKILLS)), dtype=np.bool_)
    np.put_along_axis(bits, order, np.arange(len(SKILLS)) < counts[:, None], axis=1)
    return bits


def _shares(rng: np.random.Generator, begin: Ints, end: Ints) -> tuple[Floats, Floats, Ints]:
    """Return the share of time abroad before and after a move, and when; 7 % move while they are seen."""
    n = len(begin)
    before, other = _draw_shares(rng, n), _draw_shares(rng, n)
    # Who moves goes to the other side more often than not.
    other = np.where((before > 0.5) == (other > 0.5), np.where(rng.random(n) < 0.5, 1.0 - before, other), other)
    moves = rng.random(n) < 0.07
    moved_at = begin + (rng.random(n) * (end - begin)).astype(np.int64)
    return before, np.where(moves, other, before), moved_at


def _draw_shares(rng: np.random.Generator, n: int) -> Floats:
    """Most live at home and travel a little, 8 % live abroad and visit, 6 % go back and forth."""
    group = rng.choice(3, n, p=[0.86, 0.08, 0.06])
    shares = np.stack([rng.beta(0.8, 14.0, n), rng.beta(9.0, 1.6, n), rng.beta(2.5, 2.5, n)])
    share: Floats = shares[group, np.arange(n)]
    return share
