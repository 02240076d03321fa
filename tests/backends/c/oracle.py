"""What ONNX's own reference implementation makes of one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from graphs import Builder, Case, check_cases
from onnx import helper
from onnx.reference import ReferenceEvaluator

from qir.backends.c import compile_c


def expected(op: str, arrays: Sequence[np.ndarray | None], outputs: int = 1, **attrs: Any) -> list[np.ndarray]:
    """Outputs of one operator of opset 21 by onnx.reference."""
    names = ["" if array is None else f"i{slot}" for slot, array in enumerate(arrays)]
    results = [f"o{slot}" for slot in range(outputs)]
    node = helper.make_node(op, names, results, **attrs)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True) if array is not None
    ]  # fmt: skip
    outs = [helper.make_value_info(name, onnx.TypeProto()) for name in results]
    model = helper.make_model(
        helper.make_graph([node], "one", infos, outs), opset_imports=[helper.make_opsetid("", 21)]
    )
    feeds = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    with np.errstate(all="ignore"):
        return [np.asarray(array) for array in ReferenceEvaluator(model).run(None, feeds)]


def check_against_onnx(cases: Sequence[Case], *, tolerance: float = 0.0) -> None:
    """As check_cases, with onnx.reference for what is wanted."""
    results = [expected(one.node.op, one.arrays, len(one.node.outputs), **one.node.attrs) for one in cases]
    check_cases(cases, results, tolerance=tolerance)


def check_stored(one: Case, perm: Sequence[int], *, tolerance: float = 0.0) -> None:
    """Holds a case whose given inputs of full rank lie in another storage order to onnx.reference.

    Args:
        perm: stored axis k of those inputs is logical axis perm[k].
    """
    wanted = expected(one.node.op, one.arrays, len(one.node.outputs), **one.node.attrs)
    builder, names = Builder(), []
    for slot, array in enumerate(one.arrays):
        if array is None:
            names.append("")
        elif slot in one.given and array.ndim == len(perm):
            stored = builder.feed(f"s{slot}", np.ascontiguousarray(array.transpose(perm)))
            names.append(builder.transpose(stored, np.argsort(perm).tolist(), f"x{slot}"))
        else:
            names.append((builder.feed if slot in one.given else builder.constant)(f"x{slot}", array))
    outputs = tuple(f"y{slot}" for slot in range(len(wanted)))
    builder.nodes.append(one.node.with_(inputs=tuple(names), outputs=outputs))
    for name, array in zip(outputs, wanted, strict=True):
        builder._value(name, array)
    found = compile_c(builder.graph(outputs)).run(builder.feeds)
    for name, array in zip(outputs, wanted, strict=True):
        assert found[name].shape == array.shape
        if tolerance:
            np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance, err_msg=str(one.node))
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=str(one.node))
