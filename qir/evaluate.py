"""Runs graphs: the reference meaning of every stage.

FLOAT and QUANT graphs run in onnxruntime with its fusions off; INT graphs run node by node, qir's integer operators by
their exact numpy references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import onnxruntime as ort

from qir.control import CONTROL, executions
from qir.errors import DataError, ModelError, UnsupportedError
from qir.ir.dtype import FLOAT32, INT16
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import UNKNOWN, TensorType, ValueType
from qir.onnxio.export import export
from qir.ops import OPS
from qir.quant.scales import decode, encode


class Runner:
    """A graph made ready to run many times.

    Args:
        graph: FLOAT or QUANT.
        taps: further values to return beside the outputs; quantized values come dequantized.
        optimize: let onnxruntime fuse (integer kernels for quantized models); off for the reference.
        integers: False keeps it from integer kernels also when it fuses.
        threads: 0 for onnxruntime's own choice.
        arena: let onnxruntime keep the memory of values for the next run.

    Raises:
        ModelError: where onnxruntime refuses the model; its reason is quoted.
        UnsupportedError: for operators of a domain of their own that nobody has registered.
    """

    def __init__(
        self,
        graph: Graph,
        taps: Iterable[str] = (),
        *,
        optimize: bool = False,
        integers: bool = True,
        threads: int = 0,
        arena: bool = True,
    ) -> None:
        wanted = tuple(name for name in dict.fromkeys(taps) if name not in graph.outputs)
        self.inputs = graph.inputs
        self.names = (*graph.outputs, *wanted)
        self._given = {name: graph.constants[name].value for name in wanted if name in graph.constants}
        live = tuple(name for name in wanted if name not in self._given and name not in graph.inputs)
        self._echoed = {name: graph.types[name] for name in wanted if name in graph.inputs}
        tapped = graph.with_(outputs=(*graph.outputs, *live)) if live else graph
        self._outputs = tapped.outputs
        try:
            self._session = session(
                export(tapped).SerializeToString(), optimize=optimize, integers=integers, threads=threads, arena=arena
            )
        except ModelError:
            unknown = next((node for node in graph.nodes if _is_unknown(node, graph)), None)
            if unknown is None:
                raise
            raise UnsupportedError(
                f"nobody here knows the operator {unknown.op}", node=unknown.name,
                fix="Say what it computes with qir.register_op, or export the model without it",
            ) from None  # fmt: skip

    def __call__(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs and taps by name.

        Raises:
            DataError: where inputs are missing or onnxruntime refuses them.
        """
        missing = [name for name in self.inputs if name not in feeds]
        if missing:
            raise DataError(f"input {', '.join(missing)} is missing", fix=f"Give all of {', '.join(self.inputs)}")
        try:
            results = self._session.run(list(self._outputs), {name: feeds[name] for name in self.inputs})
        except Exception as error:  # onnxruntime raises its own types, with no common base of use
            raise DataError(f"onnxruntime could not run the model: {error}",
                            fix="Check the inputs' shapes and types") from None  # fmt: skip
        found = dict(zip(self._outputs, results, strict=True))
        found |= {name: rounded(feeds[name], kind) for name, kind in self._echoed.items()}
        return found | self._given


def _is_unknown(node: Node, graph: Graph) -> bool:
    """Whether a node's operator is of a domain that neither ONNX, onnxruntime, qir nor the model tells of."""
    known = node.domain in ("", "ai.onnx.ml", "com.microsoft") or node.domain.startswith("com.microsoft.")
    return not known and node.op not in OPS and not graph.functions


def rounded(value: Any, kind: ValueType) -> Any:
    """A value as what its codes stand for; itself where its type has none."""
    quant = kind.quant if isinstance(kind, TensorType) else None
    return value if quant is None else decode(encode(value, quant), quant)


def session(
    model: bytes, *, optimize: bool = True, integers: bool = True, threads: int = 0, arena: bool = True
) -> ort.InferenceSession:
    """An onnxruntime CPU session.

    Args:
        optimize: all of onnxruntime's graph optimizations, or none.
        threads: 0 for onnxruntime's own choice.
        integers: whether Q/DQ pairs may become integer kernels.
        arena: keep the memory of values for the next run.

    Raises:
        ModelError: where onnxruntime refuses the model.
    """
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work between runs
    if not integers:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"onnxruntime refuses the model: {error}", fix="Check that it is a valid ONNX model") from None


def evaluate(graph: Graph, feeds: Mapping[str, Any], taps: Sequence[str] = ()) -> dict[str, Any]:
    """The outputs of a graph, and of any values named in `taps`, for one set of inputs.

    Args:
        graph: of any stage.
        feeds: input name to array; real values, also where an input is quantized.

    Raises:
        DataError: for missing or unfitting inputs.
    """
    if graph.stage is not Stage.INT:
        return Runner(graph, taps)(feeds)
    return _evaluate_int(graph, feeds, taps)


def _evaluate_int(graph: Graph, feeds: Mapping[str, Any], taps: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: constant.value for name, constant in graph.constants.items()}
    for name in graph.inputs:
        if name not in feeds:
            raise DataError(f"input {name} is missing", fix=f"Give all of {', '.join(graph.inputs)}")
        values[name] = np.asarray(feeds[name])
    for node in graph.nodes:
        results = node_results(node, graph, values)
        values.update({name: result for name, result in zip(node.outputs, results, strict=False) if name})
    return {name: values[name] for name in (*graph.outputs, *taps)}


def node_results(node: Node, graph: Graph, values: Mapping[str, Any]) -> Sequence[Any]:
    """What one node of a graph of stage INT gives: qir's operators by their references, others in onnxruntime."""
    definition = OPS.get(node.op)
    if definition is not None and definition.reference is not None:
        found = definition.reference(node, [values[name] for name in node.inputs if name])
        return [np.asarray(one) for one in found]  # numpy makes numbers of arrays without axes
    return _run_bodies(node, graph, values) if node.op in CONTROL else run_node(node, graph, values)


def _run_bodies(node: Node, graph: Graph, values: Mapping[str, Any]) -> list[Any]:
    """The results of an If, Loop or Scan whose bodies are in stage INT."""
    captured = {name: values[name] for name in node.captures}
    steps = executions(node, values)
    try:
        attribute, given = next(steps)
        while True:
            body = _standalone(node, attribute, graph)
            found = _evaluate_int(body, {**captured, **given}, ())
            attribute, given = steps.send([found[name] for name in body.outputs])
    except StopIteration as end:
        return list(end.value)


@lru_cache(maxsize=512)
def _standalone(node: Node, attribute: str, graph: Graph) -> Graph:
    """A body that takes what it captures as further inputs."""
    body = node.subgraphs[attribute]
    types = {**{name: graph.types[name] for name in body.captures}, **body.types}
    return body.with_(inputs=(*body.inputs, *body.captures), types=types, opsets=graph.opsets)


def run_node(node: Node, graph: Graph, values: Mapping[str, Any]) -> Sequence[Any]:
    """Runs one ONNX node by itself in onnxruntime on given operands."""
    live = tuple(name for name in dict.fromkeys(node.reads) if name not in graph.constants)
    if node.op in _MOVES and values[node.inputs[0]].dtype == np.int16:
        return _run_in_float(node, graph, live, values)
    runner = _single(node, graph, live)
    found = runner({name: values[name] for name in live})
    return [found.get(name) for name in node.outputs]


_MOVES = ("DepthToSpace", "MaxPool", "Pad", "ReduceMax", "ReduceMin", "Resize", "SpaceToDepth", "Tile")
"""Operators that only move and select, which onnxruntime does not run on 16-bit codes."""


def _run_in_float(node: Node, graph: Graph, live: tuple[str, ...], values: Mapping[str, Any]) -> Sequence[Any]:
    """Moves 16-bit codes as float32, which holds them exactly."""
    found = _single(node, _in_float(graph), live)({name: _real(values[name]) for name in live})
    return [found[name].astype(np.int16) if name else None for name in node.outputs]


def _real(value: Any) -> Any:
    return value.astype(np.float32) if value.dtype == np.int16 else value


@lru_cache(maxsize=16)
def _in_float(graph: Graph) -> Graph:
    """The graph with float32 for int16; only single nodes of it are of use."""
    types = {name: replace(kind, dtype=FLOAT32) if isinstance(kind, TensorType) and kind.dtype == INT16 else kind
             for name, kind in graph.types.items()}  # fmt: skip
    constants = {name: Constant(_real(constant.value)) for name, constant in graph.constants.items()}
    return graph.with_(types=types, constants=constants)


@lru_cache(maxsize=512)
def _single(node: Node, graph: Graph, live: tuple[str, ...]) -> Runner:
    outputs = tuple(name for name in node.outputs if name)
    names = {*live, *node.reads, *outputs}
    types = {name: graph.types.get(name, UNKNOWN) for name in names}
    constants = {name: graph.constants[name] for name in node.reads if name in graph.constants}
    return Runner(graph.with_(inputs=live, outputs=outputs, nodes=(node,), types=types, constants=constants,
                              ranges={}, stage=Stage.FLOAT))  # fmt: skip
