"""Small graphs for the tests of the C backend, and the references that they are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import elsewhere
import numpy as np

from qir.backends.c import CModule, compile_c
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops import OPS


@dataclass(frozen=True)
class Case:
    """One node with its inputs: `given` are fed at run time, the others are constants ("" is omitted)."""

    node: Node
    arrays: tuple[np.ndarray | None, ...]
    given: tuple[int, ...] = (0,)


def case(
    op: str, arrays: Sequence[np.ndarray | None], given: Sequence[int] = (0,), outputs: int = 1, **attrs: Any
) -> Case:
    """A case of one operator."""
    inputs = tuple("" if array is None else f"i{slot}" for slot, array in enumerate(arrays))
    names = tuple(f"o{slot}" for slot in range(outputs))
    return Case(Node(op, inputs, names, attrs, name="node"), tuple(arrays), tuple(given))


def fixed(one: Case) -> Case:
    """The same with accumulators made codes by integers alone; itself where none are."""
    coded = one.node.op.startswith("qir.Int") and "qmax" in one.node.attrs
    return replace(one, node=one.node.with_(attrs={**one.node.attrs, "requantization": "fixed"})) if coded else one


def both_modes(cases: Sequence[Case]) -> list[Case]:
    """Cases of which every other one is `fixed`."""
    return [fixed(one) if number % 2 else one for number, one in enumerate(cases)]


def fixed_graph(graph: Graph) -> Graph:
    """A graph of `fixed` nodes."""
    return graph.with_(nodes=tuple(fixed(Case(node, ())).node for node in graph.nodes))


def evaluate(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs a graph of qir operators (and Reshape, Transpose, Flatten) by their numpy references."""
    values = {name: constant.value for name, constant in graph.constants.items()} | dict(feeds)
    for node in graph.nodes:
        arrays = [values[name] for name in node.inputs]
        if node.op == "Transpose":
            results: tuple[np.ndarray, ...] = (arrays[0].transpose(node.attr("perm")),)
        elif node.op in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"):
            results = (arrays[0].reshape(graph.tensor(node.outputs[0]).sizes),)
        else:
            reference = OPS[node.op].reference
            assert reference is not None
            results = reference(node, arrays)
        values.update(zip(node.outputs, results, strict=True))
    return {name: values[name] for name in graph.outputs}


class Builder:
    """Builds a graph value by value, running the references along to know every type."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.constants: dict[str, Constant] = {}
        self.inputs: list[str] = []
        self.feeds: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}

    def _value(self, name: str, array: np.ndarray) -> str:
        self.types[name] = TensorType(of_array(array), array.shape)
        self.values[name] = array
        return name

    def feed(self, name: str, array: np.ndarray) -> str:
        """An input with the sample it is fed."""
        self.inputs.append(name)
        self.feeds[name] = array
        return self._value(name, array)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = Constant(array)
        return self._value(name, array)

    def node(self, op: str, inputs: Sequence[str], name: str, *, result: np.ndarray | None = None, **attrs: Any) -> str:
        """A node with one output of its own name; `result` where there is no reference to run."""
        node = Node(op, tuple(inputs), (name,), attrs, name=f"node_{name}")
        self.nodes.append(node)
        if result is None:
            reference = OPS[op].reference
            assert reference is not None
            result = reference(node, [self.values[i] for i in inputs])[0]
        return self._value(name, result)

    def transpose(self, source: str, perm: Sequence[int], name: str) -> str:
        moved = self.values[source].transpose(perm).copy()
        return self.node("Transpose", [source], name, result=moved, perm=tuple(perm))

    def reshape(self, source: str, shape: Sequence[int], name: str, op: str = "Reshape") -> str:
        return self.node(op, [source], name, result=self.values[source].reshape(shape))

    def graph(self, outputs: Sequence[str], stage: Stage = Stage.INT) -> Graph:
        return Graph("test", tuple(self.inputs), tuple(outputs), tuple(self.nodes), self.types, self.constants, stage)

    def wanted(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        return {name: self.values[name] for name in outputs}


def joined(cases: Sequence[Case], results: Sequence[Sequence[np.ndarray]] | None = None) -> tuple[Graph, Builder]:
    """All cases side by side in one graph, so that one compilation serves them all.

    Args:
        results: outputs of each case where its operator has no reference of its own.
    """
    builder = Builder()
    outputs: list[str] = []
    for number, one in enumerate(cases):
        inputs = []
        for slot, array in enumerate(one.arrays):
            name = f"c{number}_{slot}"
            if array is None:
                inputs.append("")
            else:
                inputs.append(builder.feed(name, array) if slot in one.given else builder.constant(name, array))
        names = tuple(f"c{number}_{out}" for out in one.node.outputs)
        node = replace(one.node, inputs=tuple(inputs), outputs=names, name=f"c{number}")
        if results is not None:
            produced: Sequence[np.ndarray] = results[number]
        else:
            reference = OPS[node.op].reference
            assert reference is not None
            produced = reference(node, [array for array in one.arrays if array is not None])
        builder.nodes.append(node)
        for name, array in zip(names, produced, strict=True):
            builder._value(name, array)
        outputs += names
    return builder.graph(outputs), builder


def check_cases(
    cases: Sequence[Case], results: Sequence[Sequence[np.ndarray]] | None = None, *, name: str = "net",
    target: str = "portable", tolerance: float = 0.0, compiler: str = "gcc",
) -> CModule:  # fmt: skip
    """Compiles cases together, runs them, in an emulator where need be, and compares every output with its reference.

    Args:
        tolerance: allowed error relative to max(1, |wanted|); 0 asks for the same bits.
        compiler: gcc or clang, for targets of other processors.
    """
    graph, builder = joined(cases, results)
    module = compile_c(graph, name=name, target=target)
    got = elsewhere.run(module, builder.feeds, compiler=compiler)
    for number, one in enumerate(cases):
        for out in one.node.outputs:
            found, wanted = got[f"c{number}_{out}"], builder.values[f"c{number}_{out}"]
            shapes = [a.shape for a in one.arrays if a is not None]
            label = f"case {number}: {one.node.op} {dict(one.node.attrs)} {shapes}"
            assert found.shape == wanted.shape, label
            if tolerance:
                bound = tolerance * np.maximum(1, np.abs(wanted))
                same = (np.abs(found - wanted) <= bound) | (found == wanted) | (np.isnan(found) & np.isnan(wanted))
                assert same.all(), f"{label}: {found.reshape(-1)[:8]} {wanted.reshape(-1)[:8]}"
            else:
                assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f"), label
    return module
