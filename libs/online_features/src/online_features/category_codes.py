"""From string hashes to category codes, for many rows and columns at once.

Each column gets a multiplier under which its categories fall into distinct slots of one table (a perfect hash found by
trying odd multipliers), so a lookup is a multiplication, a shift and two gathers, about 5 ns a cell. The chance that c
categories keep apart in s slots is about exp(-c²/2s), so a column's share of the table is doubled until one try in a
few succeeds: 16 bytes a slot, 1 MB at 256 categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_features.layout import string_hash

__all__ = ["CategoryCodes"]

_TRIES = 64
_BITS_MAX = 20
_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class CategoryCodes:
    """Codes of s category columns."""

    multipliers: NDArray[np.uint64]
    """(s,)"""
    shifts: NDArray[np.uint64]
    """(s,)"""
    bases: NDArray[np.intp]
    """(s,) start of each column's slots."""
    slot_hashes: NDArray[np.uint64]
    slot_codes: NDArray[np.float64]
    by_hash: tuple[dict[int, float], ...]
    """The same for one row."""

    @classmethod
    def of(cls, columns: Sequence[Sequence[str]]) -> "CategoryCodes":
        """Tables for the categories of each column; a code is the position there."""
        hashes = [[string_hash(category) for category in categories] for categories in columns]
        found = [_perfect(column) for column in hashes]
        sizes = [1 << (64 - shift) for _, shift, _ in found]
        bases = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        slot_hashes = np.zeros(bases[-1], dtype=np.uint64)
        slot_codes = np.full(bases[-1], np.nan)
        for base, column, (_, _, slots) in zip(bases, hashes, found, strict=False):
            slot_hashes[base + np.array(slots, dtype=np.intp)] = column
            slot_codes[base + np.array(slots, dtype=np.intp)] = np.arange(len(column))
        return cls(
            multipliers=np.array([multiplier for multiplier, _, _ in found], dtype=np.uint64),
            shifts=np.array([shift for _, shift, _ in found], dtype=np.uint64),
            bases=bases[:-1],
            slot_hashes=slot_hashes,
            slot_codes=slot_codes,
            by_hash=tuple({hash_: float(code) for code, hash_ in enumerate(column)} for column in hashes),
        )

    def codes(self, hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
        """(n, s) hashes to (n, s) codes; NaN for null and for strings that are no category."""
        slots = ((hashes * self.multipliers) >> self.shifts).astype(np.intp) + self.bases
        codes: NDArray[np.float64] = self.slot_codes[slots]
        codes[self.slot_hashes[slots] != hashes] = np.nan
        return codes


def _perfect(hashes: Sequence[int]) -> tuple[int, int, list[int]]:
    """Return a multiplier and a shift that keep the hashes apart, and their slots."""
    if len(set(hashes)) != len(hashes):
        raise ValueError("a category stands twice in one column")
    for bits in range(max(1, (2 * len(hashes)).bit_length()), _BITS_MAX + 1):
        multiplier = 1
        for _ in range(_TRIES):
            slots = [(hash_ * multiplier & _MASK) >> (64 - bits) for hash_ in hashes]
            if len(set(slots)) == len(slots):
                return multiplier, 64 - bits, slots
            multiplier = (multiplier * _ODD | 1) & _MASK
    raise ValueError(f"{len(hashes)} categories in one column are too many to keep apart")
