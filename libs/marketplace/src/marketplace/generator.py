"""Generates the whole marketplace, part by part, so that memory is bounded by one part."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa

from marketplace.behaviour import articles_table, code_activity_table, logins_table, make_habits
from marketplace.careers import candidate_skills_table, work_histories_table
from marketplace.checks import identity_checks
from marketplace.contracts import contract_tables, evaluation_tables, hourly_rate_truth, make_contracts
from marketplace.demand import Jobs, companies_table, jobs_table, make_companies, make_jobs
from marketplace.matching import (
    applications_table,
    make_applications,
    make_scouts,
    recommendation_truth,
    scouts_table,
)
from marketplace.people import People, make_people
from marketplace.profiles import candidates_table
from marketplace.spec import MarketplaceSpec, SpecError
from marketplace.tables import SOURCE_TABLES, TRUTH_TABLES
from marketplace.writer import check_target, publish, staging, write_part

__all__ = ["generate", "source_tables", "truth_tables"]


def generate(out: Path, truth: Path, spec: MarketplaceSpec, *, processes: int = 1) -> None:
    """Write the source tables to `out/<table>/part-*.parquet` and the true conditional means to `truth` likewise.

    Both directories appear, or are replaced, only when all is written. The content does not depend on `processes`.
    Raises SpecError if a directory holds something else than a marketplace, or if both are the same.
    """
    if processes < 1:
        msg = "processes must be at least 1"
        raise SpecError(msg)
    if out.resolve() in {truth.resolve(), *truth.resolve().parents} or truth.resolve() in out.resolve().parents:
        msg = "source tables and truth must not lie within each other"
        raise SpecError(msg)
    check_target(out, SOURCE_TABLES)
    check_target(truth, TRUTH_TABLES)
    new_out, new_truth = staging(out), staging(truth)
    companies = make_companies(spec)
    write_part(new_out, "companies", 0, companies_table(spec, companies))
    write_part(new_out, "jobs", 0, jobs_table(spec, make_jobs(spec, companies)))
    work = partial(_write_candidates, new_out, new_truth, spec)
    if processes == 1:
        for part in range(spec.parts):
            work(part)
    else:
        # A forked child may hang on Arrow's threads.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            list(pool.map(work, range(spec.parts)))
    publish(new_truth, truth, spec)
    publish(new_out, out, spec)


def source_tables(spec: MarketplaceSpec, part: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the candidate-wise source tables of one part, one at a time."""
    for kind, name, table in _tables(spec, part):
        if kind == "source":
            yield name, table


def truth_tables(spec: MarketplaceSpec, part: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the truth tables of one part."""
    for kind, name, table in _tables(spec, part):
        if kind == "truth":
            yield name, table


def _write_candidates(out: Path, truth: Path, spec: MarketplaceSpec, part: int) -> None:
    for kind, name, table in _tables(spec, part):
        write_part(out if kind == "source" else truth, name, part, table)


def _tables(spec: MarketplaceSpec, part: int) -> Iterator[tuple[str, str, pa.Table]]:
    people, jobs = make_people(spec, part), make_jobs(spec, make_companies(spec))
    habits = make_habits(spec, part, people)
    yield "source", "candidates", candidates_table(spec, part, people)
    yield "source", "logins", logins_table(spec, part, people, habits)
    yield "source", "code_activity", code_activity_table(spec, part, people, habits)
    yield "source", "articles", articles_table(spec, part, people)
    yield "source", "candidate_skills", candidate_skills_table(spec, part, people)
    yield "source", "work_histories", work_histories_table(spec, part, people)
    checks, residency = identity_checks(spec, part, people)
    yield "source", "identity_checks", checks
    yield "truth", "residency", residency
    yield from _dealings(spec, part, people, jobs)


def _dealings(spec: MarketplaceSpec, part: int, people: People, jobs: Jobs) -> Iterator[tuple[str, str, pa.Table]]:
    scouts = make_scouts(spec, part, people, jobs)
    yield "source", "scouts", scouts_table(spec, part, people, scouts)
    applications = make_applications(spec, part, people, jobs, scouts)
    yield "source", "applications", applications_table(spec, part, people, applications)
    yield "truth", "recommendation", recommendation_truth(part, people, applications)
    contracts = make_contracts(spec, part, people, jobs, applications)
    for name, table in contract_tables(spec, part, people, contracts).items():
        yield "source", name, table
    yield "truth", "hourly_rate", hourly_rate_truth(part, contracts)
    evaluations, truth = evaluation_tables(spec, part, people, contracts)
    yield "source", "contract_evaluations", evaluations
    for name, table in truth.items():
        yield "truth", name, table
