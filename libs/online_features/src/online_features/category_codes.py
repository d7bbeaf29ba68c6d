"""From string hashes to category codes, for many rows and columns at once.

Each column gets a multiplier under which its categories fall into distinct slots of one table (a perfect hash found by
trying a few odd multipliers), so a lookup is a multiplication, a shift and two gathers, about 5 ns a cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online_features.layout import string_hash

__all__ = ["CategoryCodes"]

_TRIES = 10_000
_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class CategoryCodes:
    """Codes of s category columns."""

    multipliers: NDArray[np.uint64]
    """(s,)"""
    shift: np.uint64
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
        bits = max([1, *((2 * len(column)).bit_length() for column in hashes)])
        size = 1 << bits
        slot_hashes = np.zeros(size * len(columns), dtype=np.uint64)
        slot_codes = np.full(size * len(columns), np.nan)
        multipliers = []
        for base, column in enumerate(hashes):
            multiplier, slots = _perfect(column, 64 - bits)
            multipliers.append(multiplier)
            for code, (slot, hash_) in enumerate(zip(slots, column, strict=True)):
                slot_hashes[base * size + slot] = hash_
                slot_codes[base * size + slot] = code
        return cls(
            multipliers=np.array(multipliers, dtype=np.uint64),
            shift=np.uint64(64 - bits),
            bases=np.arange(len(columns), dtype=np.intp) * size,
            slot_hashes=slot_hashes,
            slot_codes=slot_codes,
            by_hash=tuple({hash_: float(code) for code, hash_ in enumerate(column)} for column in hashes),
        )

    def codes(self, hashes: NDArray[np.uint64]) -> NDArray[np.float64]:
        """(n, s) hashes to (n, s) codes; NaN for null and for strings that are no category."""
        slots = ((hashes * self.multipliers) >> self.shift).astype(np.intp) + self.bases
        codes: NDArray[np.float64] = self.slot_codes[slots]
        codes[self.slot_hashes[slots] != hashes] = np.nan
        return codes


def _perfect(hashes: Sequence[int], shift: int) -> tuple[int, list[int]]:
    """A multiplier that keeps the hashes apart, and their slots."""
    multiplier = 1
    for _ in range(_TRIES):
        slots = [(hash_ * multiplier & _MASK) >> shift for hash_ in hashes]
        if len(set(slots)) == len(slots):
            return multiplier, slots
        multiplier = (multiplier * _ODD | 1) & _MASK
    raise ValueError("categories repeat, or no perfect hash was found for them")
