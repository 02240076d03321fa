"""The operators that qir itself defines (domain qir) and those a user registers.

ONNX's own operators need no entry: their types come from ONNX's inference, their meaning from onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qir.errors import PassError
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType

Infer: TypeAlias = Callable[[Node, Sequence[TensorType]], tuple[TensorType, ...]]
Reference: TypeAlias = Callable[[Node, Sequence[np.ndarray]], tuple[np.ndarray, ...]]
Expand: TypeAlias = Callable[[Node, Graph], list[Node]]


@dataclass(frozen=True)
class OpDef:
    """One operator.

    Attributes:
        name: with its domain, such as qir.IntConv.
        infer: node and input types to output types.
        reference: node and input arrays to output arrays, exact; None where `expand` gives the meaning.
        expand: node and its graph to the ONNX nodes that mean the same; None for integer operators.
    """

    name: str
    infer: Infer
    reference: Reference | None = None
    expand: Expand | None = None


OPS: dict[str, OpDef] = {}


def register_op(definition: OpDef) -> OpDef:
    """Adds an operator; it can then be lifted, inferred, evaluated and lowered.

    Raises:
        PassError: if the name is taken or the operator has no meaning (neither reference nor expand).
    """
    if definition.name in OPS:
        raise PassError(f"operator {definition.name} is registered twice", fix="Choose another name")
    if definition.reference is None and definition.expand is None:
        raise PassError(f"operator {definition.name} has neither a reference nor an expansion", fix="Give one of them")
    OPS[definition.name] = definition
    return definition
