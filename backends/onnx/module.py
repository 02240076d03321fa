"""A compiled QDQ model: its protobuf, and the same model running in onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from qir.errors import DataError, ModelError
from qir.evaluate import session
from qir.ir.graph import Graph
from qir.onnxio.export import export
from qir.onnxio.store import save_model


@dataclass(frozen=True, eq=False)
class OnnxModule:
    """An ONNX model.

    Attributes:
        model: the protobuf.
    """

    model: onnx.ModelProto

    @staticmethod
    def of(graph: Graph) -> OnnxModule:
        """The model of a graph in stage FLOAT or QUANT."""
        return OnnxModule(export(graph))

    @property
    def model_bytes(self) -> int:
        """Bytes of the .onnx file."""
        return int(self.model.ByteSize())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the .onnx file, whole or not at all.

        Raises:
            OutputError: where it cannot be written.
        """
        save_model(self.model, Path(path))
        return Path(path)

    @cached_property
    def _session(self) -> Any:
        return session(self.model.SerializeToString())

    def refusal(self) -> str | None:
        """Why onnxruntime does not load the model; None where it does.

        Raises:
            ModelError: where the reason is that shapes contradict each other, which no runtime can mend.
        """
        try:
            self._session  # noqa: B018  (made on first use)
        except ModelError as error:
            if "ShapeInferenceError" in str(error):
                raise
            return error.what
        return None

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs it in onnxruntime, all optimizations on.

        Raises:
            DataError: where inputs are missing, unknown or do not fit.
        """
        names = [value.name for value in self._session.get_inputs()]
        if set(names) != set(inputs):
            raise DataError(f"inputs {sorted(inputs)} were given", fix=f"Give exactly {', '.join(names)}")
        try:
            results = self._session.run(None, dict(inputs))
        except Exception as error:  # onnxruntime's errors have no common base of use
            raise DataError(f"onnxruntime could not run the model: {error}", fix="Check shapes and types") from None
        return dict(zip([value.name for value in self._session.get_outputs()], results, strict=True))
