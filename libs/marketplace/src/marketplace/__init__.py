"""The sample marketplace: a deterministic generator and the vocabulary of the domain.

`marketplace.vocabulary`, `marketplace.tables` and `marketplace.on_demand` are public modules of their own; serving
processes import them without Arrow being loaded.
"""

from typing import TYPE_CHECKING

from marketplace.spec import MarketplaceSpec, SpecError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MarketplaceSpec", "SpecError", "generate"]


def generate(out: "Path", truth: "Path", spec: MarketplaceSpec, *, processes: int = 1) -> None:
    """Write a marketplace; see `marketplace.generator.generate`."""
    from marketplace import generator

    generator.generate(out, truth, spec, processes=processes)
