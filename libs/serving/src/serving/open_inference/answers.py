"""Scored rows as output tensors.

A service's outputs are the columns of its prediction: FP64 for numbers, BYTES for words. `raw`, the booster's own
output, follows them, and behind `<model>_by_id` also `status`: ok, degraded or not_found, as in `/v1`. A row that is
not found has NaN and empty words, so that it never fails its neighbours.
"""

from typing import Any, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference import ScoredRows
from serving.foreign_protocols import ForeignAnswer
from serving.open_inference.messages import InferResponse, OutputTensor, TensorMetadata
from serving.open_inference.requests import Inference, WantedOutput
from serving.open_inference.tensors import bytes_of_numbers, bytes_of_words
from serving.problems import Problem, problem

__all__ = ["Outputs"]

_STATUSES = np.array(["ok", "degraded", "not_found"], dtype=object)
_encoder = msgspec.json.Encoder()


class Outputs:
    """The output tensors of one model."""

    def __init__(self, prediction: type[msgspec.Struct], *, has_status: bool) -> None:
        hints = get_type_hints(prediction)
        names = prediction.__struct_fields__
        self._datatypes = {name: "FP64" if hints[name] in {float, int} else "BYTES" for name in names}
        self._datatypes["raw"] = "FP64"
        self._has_status = has_status
        if has_status:
            self._datatypes["status"] = "BYTES"

    @property
    def metadata(self) -> tuple[TensorMetadata, ...]:
        """All of them, in their order."""
        return tuple(TensorMetadata(name, datatype, (-1,)) for name, datatype in self._datatypes.items())

    def wanted(self, inference: Inference) -> tuple[WantedOutput, ...]:
        """Give what goes into the answer. Raises the 400 problem for an output that the model does not have."""
        if inference.outputs is None:
            return tuple(WantedOutput(name, inference.is_binary) for name in self._datatypes)
        if any(output.name not in self._datatypes for output in inference.outputs):
            raise problem(Problem.MALFORMED, "An output is wanted that this model does not have.")
        return inference.outputs

    def answer(
        self, model: str, inference: Inference, wanted: tuple[WantedOutput, ...], rows: ScoredRows
    ) -> ForeignAnswer:
        """Make the answer."""
        tensors: list[OutputTensor] = []
        raw: list[bytes] = []
        for output in wanted:
            datatype = self._datatypes[output.name]
            column = self._column(output.name, rows)
            if output.is_binary:
                part = bytes_of_numbers(column) if datatype == "FP64" else bytes_of_words(column.tolist())
                raw.append(part)
                tensors.append(OutputTensor(output.name, datatype, [rows.n], {"binary_data_size": len(part)}))
            else:
                # NaN becomes null.
                tensors.append(OutputTensor(output.name, datatype, [rows.n], data=column.tolist()))
        header = _encoder.encode(InferResponse(model, rows.model.version, inference.id, tensors))
        if not any(output.is_binary for output in wanted):
            return ForeignAnswer(header)
        length = (b"inference-header-content-length", b"%d" % len(header))
        return ForeignAnswer(b"".join([header, *raw]), "application/octet-stream", (length,))

    def _column(self, name: str, rows: ScoredRows) -> NDArray[Any]:
        if name == "status" and self._has_status:
            return _STATUSES[np.where(rows.found, rows.degraded.astype(np.intp), 2)]
        column = rows.raw if name == "raw" else rows.columns[name]
        if self._datatypes[name] == "FP64":
            numbers = column.astype(np.float64)
            return numbers if rows.found.all() else np.where(rows.found, numbers, np.nan)
        words = column.astype(object)
        return words if rows.found.all() else np.where(rows.found, words, "")
