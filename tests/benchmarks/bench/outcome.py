"""What a scenario brings back: rows for the table and points for the growth plot."""

from dataclasses import dataclass, field

from bench.ratios import Ratio

__all__ = ["Bound", "Growth", "Outcome", "Row"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A target: the median must be at least, or at most, `value` (in `unit`; none for a ratio)."""

    kind: str
    """`≥` or `≤`."""
    value: float
    unit: str = "×"

    def holds(self, median: float) -> bool:
        """Whether the figure meets the target."""
        return median >= self.value if self.kind == "≥" else median <= self.value

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    what: str
    against: str
    measured: Ratio | None
    """None: could not be measured, and `note` says why."""
    unit: str = "×"
    target: Bound | None = None
    ours: str = ""
    theirs: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `not measured`, or empty where there is no target."""
        if self.measured is None:
            return "not measured"
        if self.target is None:
            return ""
        return "met" if self.target.holds(self.measured.median) else "missed"


@dataclass(frozen=True, slots=True)
class Growth:
    """How a cost grows with the number of entities."""

    what: str
    entities: tuple[int, ...]
    microseconds: tuple[float, ...]


@dataclass(slots=True)
class Outcome:
    """Everything measured in one run."""

    rows: list[Row] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
