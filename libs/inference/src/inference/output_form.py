"""What a service makes of a version's numbers, tried before the version serves."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.contract import Contract, OutputSpec
from inference.errors import ContractError, RefusalCode
from inference.scored import PostProcess

__all__ = ["OutputForm"]

_PROBES = 64


@dataclass(frozen=True, slots=True)
class OutputForm:
    """A post-processing of a service, and the struct that its columns become a row at a time."""

    postprocess: PostProcess
    prediction: type[msgspec.Struct]

    def check(self, contract: Contract) -> None:
        """Raise `ContractError` where the contract's tables cannot make predictions of the golden rows' outputs.

        All columns must be there, with a value a row that the struct takes; JSON has no NaN, so that is null. Numbers
        between and beyond the golden ones, and no rows at all, must not raise: a table may be too short for them.
        """
        raw = np.array(contract.golden.raw, dtype=np.float64)
        columns = self._columns(raw, contract.output)
        names = self.prediction.__struct_fields__
        for row, values in enumerate(zip(*(columns[name].tolist() for name in names), strict=True)):
            given = dict(zip(names, map(_on_the_wire, values), strict=True))
            try:
                msgspec.convert(given, self.prediction)
            except msgspec.ValidationError as error:
                raise _refused(f"golden row {row}: {error}") from None
        span = max(float(np.ptp(raw)), 1.0)
        self._columns(np.linspace(raw.min() - span, raw.max() + span, _PROBES), contract.output)
        none = self._columns(raw[:0], contract.output)
        # Arrow's column types are those of no rows.
        changed = [name for name in names if none[name].dtype.kind != columns[name].dtype.kind]
        if changed:
            raise _refused(f"the type of {', '.join(changed)} differs between no rows and some")

    def _columns(self, raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[np.generic]]:
        try:
            with np.errstate(all="ignore"):
                columns = self.postprocess(raw, output)
        except KeyError as error:
            raise _refused(f"the contract has no table {error.args[0]}") from error
        except Exception as error:  # whatever a service's function raises, the version is refused for it
            raise _refused(f"{type(error).__name__}: {error}") from error
        for name in self.prediction.__struct_fields__:
            column = columns.get(name)
            if column is None:
                raise _refused(f"gives no column {name}")
            if column.shape != raw.shape:
                raise _refused(f"gives {column.shape} values of {name} for {len(raw)} rows")
        return columns


def _on_the_wire(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refused(reason: str) -> ContractError:
    return ContractError(f"post-processing: {reason}", RefusalCode.POSTPROCESSING)
