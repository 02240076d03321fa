"""Taking channels out of a graph: out of every value that carries them, and of the constants along them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.coupling import Channels, Coupling
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.rewrite.editor import Editor

_SIZES = {"Reshape": 1, "Resize": 3}
"""Operators with an operand that holds the sizes of the result, and its slot."""


def remove_channels(graph: Graph, coupling: Coupling, gone: np.ndarray) -> Graph:
    """The graph without some channels; values keep their names.

    Args:
        graph: FLOAT.
        coupling: the relation REMOVAL of the graph.
        gone: bool, of each class of channels; not that of FIXED.
    """
    edit = Editor(graph)
    kept = {name: ~gone[channels.ids] for name, channels in coupling.values.items() if gone[channels.ids].any()}
    for node in graph.nodes:
        for slot in range(len(node.inputs)):
            _cut(edit, node, slot, coupling.operands.get((node.name, slot), ()), gone)
        result = next((name for name in node.outputs if name in kept), None)
        if result is not None:
            _adjust(edit, node, coupling, kept, result)
    for name, those in kept.items():
        kind = graph.tensor(name)
        edit.set_type(name, replace(kind, shape=_with_size(kind, coupling.values[name].axis, int(those.sum()))))
    return edit.build()


def _with_size(kind: TensorType, axis: int, size: int) -> tuple[int | str | None, ...]:
    shape = tuple(kind.shape or ())
    return (*shape[:axis], size, *shape[axis + 1 :])


def _cut(edit: Editor, node: Node, slot: int, along: tuple[Channels, ...], gone: np.ndarray) -> None:
    """Takes channels out of a constant operand."""
    if not any(gone[channels.ids].any() for channels in along):
        return
    name = node.inputs[slot]
    value = edit.graph.constants[name].value
    for channels in along:
        value = np.compress(~gone[channels.ids], value, axis=channels.axis)
    edit.replace_input(node, slot, edit.revised(name, np.ascontiguousarray(value), [node]))


def _adjust(edit: Editor, node: Node, coupling: Coupling, kept: dict[str, np.ndarray], result: str) -> None:
    """Attributes and operands of a node that say how many channels there are."""
    axis, current = coupling.values[result].axis, edit.current(node)
    if "Conv" in node.op and node.name in coupling.carriers:
        edit.replace(current, current.with_(attrs={**current.attrs, "group": int(kept[node.inputs[0]].sum())}))
    elif node.op in _SIZES and (name := node.input(_SIZES[node.op])):
        sizes = edit.graph.constants[name].value.copy()
        if sizes[axis] == kept[result].size:
            sizes[axis] = kept[result].sum()
            edit.replace_input(current, _SIZES[node.op], edit.revised(name, sizes, [node]))
    elif node.op == "Split" and axis == int(node.attr("axis", 0)) % len(edit.graph.tensor(result).shape or ()):
        kinds = [edit.graph.tensor(name) for name in node.outputs]
        parts = [int(kept[name].sum()) if name in kept else kind.sizes[axis]
                 for name, kind in zip(node.outputs, kinds, strict=True)]  # fmt: skip
        attrs = {key: value for key, value in current.attrs.items() if key != "num_outputs"}
        given = edit.constant(f"{node.name}_sizes", np.array(parts, np.int64))
        edit.replace(current, current.with_(inputs=(current.inputs[0], given), attrs=attrs))
