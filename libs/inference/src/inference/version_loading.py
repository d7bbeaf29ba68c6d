"""A model version made ready aside: loaded, checked against the live store, compared in speed, warmed."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.contract import Contract
from inference.contract_checks import check_schemas
from inference.errors import ContractError, RefusalCode
from inference.features import FeatureReader
from inference.model import LiveModel, ModelVersion, PredictCost, VersionOrigin, load_model_version, measure_cost
from inference.output_form import OutputForm

__all__ = ["OpenReader", "SpeedLimit", "VersionLoader"]

OpenReader = Callable[[Contract], Awaitable[FeatureReader]]


@dataclass(frozen=True, slots=True)
class SpeedLimit:
    """How much slower than what serves now a version may predict."""

    max_slowdown: float = 5.0
    floor_seconds: float = 100e-6
    """It must take this much longer too, so that tiny models are not refused for noise."""
    rows: tuple[int, ...] = (1, 64)
    """Batches that are compared; one that breaks the limit is enough."""

    def is_broken(self, version: ModelVersion, serving: ModelVersion) -> str | None:
        """Give the reason, measured anew side by side where the first look says so. Takes milliseconds."""
        if self._slower(version.cost, serving.cost) is None:
            return None
        # The old cost was measured when the machine did something else.
        return self._slower(_cost_now(version), _cost_now(serving))

    def _slower(self, version: PredictCost, serving: PredictCost) -> str | None:
        for rows in self.rows:
            now, then = version.estimate(rows), serving.estimate(rows)
            if now > then * self.max_slowdown and now - then > self.floor_seconds:
                what = "a row takes" if rows == 1 else f"{rows} rows take"
                return f"{what} {now * 1e6:.0f} µs to predict, {now / then:.1f} times as long as now"
        return None


class VersionLoader:
    """Makes live models of directories.

    `on_demand_modules` are those whose functions a contract may name, `outputs` what the service makes of predictions.
    """

    def __init__(
        self,
        open_reader: OpenReader,
        on_demand_modules: Collection[str],
        speed_limit: SpeedLimit | None,
        outputs: Sequence[OutputForm] = (),
    ) -> None:
        self.open_reader = open_reader
        self._outputs = tuple(outputs)
        self._on_demand_modules = tuple(on_demand_modules)
        self._speed_limit = speed_limit

    async def load(self, directory: Path, origin: VersionOrigin, serving: ModelVersion | None) -> LiveModel:
        """Raise `VersionRefusedError` or `FeatureStoreError` where the version cannot serve."""
        version = await asyncio.to_thread(
            load_model_version, directory, origin, on_demand_modules=self._on_demand_modules
        )
        for output in self._outputs:
            output.check(version.contract)
        if self._speed_limit is not None and serving is not None:
            reason = await asyncio.to_thread(self._speed_limit.is_broken, version, serving)
            if reason is not None:
                raise ContractError(reason, RefusalCode.TOO_SLOW)
        reader = await self.open_reader(version.contract)
        try:
            check_schemas(version.contract, await reader.schemas())
            await _warm_up(version, reader)
        except BaseException:
            await reader.close()
            raise
        return LiveModel(version, reader)


async def _warm_up(version: ModelVersion, reader: FeatureReader) -> None:
    """Go the whole way once with an id that nobody has: connections, plans and code are warm after it."""
    rows = await reader.read(dict.fromkeys(version.contract.entities, ("warm-up",)))
    version.booster.predict(version.assembly.assemble(rows).matrix)


def _cost_now(version: ModelVersion) -> PredictCost:
    return measure_cost(version.booster, np.array(version.contract.golden.inputs, dtype=np.float64))
