"""A float model and what was quantized of it, here or elsewhere, brought to forms whose layers can be paired."""

from __future__ import annotations

from qir.debug.pairing import pair
from qir.errors import ModelError
from qir.ir.graph import Graph, Stage
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.pipeline import CLEAN, FUSE
from qir.target import target


def comparable(real: Graph, quant: Graph) -> tuple[Graph, Graph]:
    """The float model simplified as the quantized one seems to have been, and that one cleaned.

    Tools fold a BatchNormalization or leave it; the form of the float model is taken that shares most values.

    Raises:
        ModelError: where the second model holds no codes, or shares no layers with the first.
    """
    cleaned = _simplified(quant, CLEAN)
    if cleaned.stage is not Stage.QUANT:
        raise ModelError("the quantized model holds no Q/DQ pairs that qir can read", fix="Give a model in QDQ form")
    forms = [_simplified(real, CLEAN), _simplified(real, f"{CLEAN},{FUSE}")]
    best = max(forms, key=lambda form: _likeness(form, cleaned))
    if _likeness(best, cleaned) == (0, 0):
        raise ModelError("the two models have no layer in common", fix="Give the float model that was quantized")
    return best, cleaned


def _simplified(graph: Graph, passes: str) -> Graph:
    return run(graph, parse_pipeline(passes), Context(target("onnx")))


def _likeness(real: Graph, quant: Graph) -> tuple[int, int]:
    """Shared values, and fewer nodes that only the float model has."""
    shared = len(pair(real, quant).values)
    return shared, -len(real.nodes) if shared else 0
