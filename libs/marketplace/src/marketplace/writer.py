"""Writes tables so that a reader never sees half of one."""

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from marketplace.spec import MarketplaceSpec, SpecError

__all__ = ["MANIFEST", "check_target", "publish", "staging", "write_part"]

MANIFEST: Final = "marketplace.json"
"""The spec that a directory was generated from."""


def staging(target: Path) -> Path:
    """Return an empty directory beside the target, where its content is prepared."""
    directory = target.with_name(f".{target.name}.partial")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def write_part(directory: Path, name: str, part: int, table: pa.Table) -> None:
    """Write one part of a table, atomically."""
    folder = directory / name
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"part-{part:05d}.parquet"
    unfinished = target.with_suffix(".unfinished")
    pq.write_table(
        table,
        unfinished,
        compression="zstd",
        compression_level=1,
        coerce_timestamps="us",
        row_group_size=200_000,
        store_schema=True,
    )
    unfinished.replace(target)


def check_target(target: Path, tables: Collection[str]) -> None:
    """Raise SpecError if the target holds something that generating would delete but never wrote."""
    if not target.exists():
        return
    if not target.is_dir():
        msg = f"{target} is not a directory"
        raise SpecError(msg)
    strange = sorted({entry.name for entry in target.iterdir()} - {*tables, MANIFEST})
    if strange:
        msg = f"{target} holds {strange[0]!r}, which is no table of the marketplace; nothing was written"
        raise SpecError(msg)


def publish(prepared: Path, target: Path, spec: MarketplaceSpec) -> None:
    """Put the prepared directory in the place of the target."""
    (prepared / MANIFEST).write_text(json.dumps(asdict(spec), default=str, indent=1, sort_keys=True) + "\n")
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    prepared.replace(target)
    shutil.rmtree(old, ignore_errors=True)
