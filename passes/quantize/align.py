"""`align-channels`: channels of zeros where a kernel takes whole blocks of channels.

    Conv(x [N, C, ...], w [M, C, ...])   becomes   Conv(x' [N, C', ...], w' [M, C', ...])

Channels beyond C have weights of zero where they are made and where they are read, so results do not change; what lies
between must treat channels one by one. onnxruntime runs depthwise convolutions in blocks of 16 channels, and others
channels last in blocks of 4 inputs and 8 outputs, with kernels that are about twice as fast. A model's input is padded
by a node, `Pad`. Only what the target's costs call faster is done, as far as weights hardly grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import TensorType, ValueType
from qir.ops.elementwise import FUNCTIONS
from qir.ops.weighted import weighted, with_ones
from qir.passmanager.base import Context, Pass
from qir.quant.scales import encode
from qir.rewrite.editor import Editor
from qir.target import Target

_BLOCK, _INPUTS = 16, 4
"""Channels that kernels take at once, of depthwise convolutions and of inputs."""
_LEAST = 500.0
"""ns that a group has to save: less is lost in the estimates."""
_CHANNELWISE = {name for name, function in FUNCTIONS.items() if function.finite_at_zero} | {
    "AveragePool", "GlobalAveragePool", "MaxPool", "qir.Requantize",
}  # fmt: skip
"""Operators that treat channels of their first operand one by one, and leave numbers in those of zeros."""
_NAMED = 5
"""Values that the note names."""
_PAIRS = frozenset(("Add", "Mul", "Sub"))


@dataclass(frozen=True)
class AlignChannels(Pass):
    """Pads channels where that is faster.

    Attributes:
        growth: share by which the number of weights may grow.
    """

    name: ClassVar[str] = "align-channels"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    keeps_layers: ClassVar[bool] = False
    growth: float = 0.06

    def run(self, graph: Graph, context: Context) -> Graph:
        target = context.target
        if target.costs is None:
            return graph
        most, options, chosen = (1 + self.growth) * _count(graph), [], []
        padded = _with_inputs(graph, target)
        if padded is not graph:
            chosen += [name for name in graph.inputs if padded.types[name] != graph.types[name]]
            graph = padded
        for group in _groups(graph):
            wide = _widened(graph, group, target)
            if wide is not None and (saved := _saved(graph, wide, target)) > _LEAST:
                options.append((saved / max(_count(wide) - _count(graph), 1), group))
        for _, group in sorted(options, key=lambda option: (-option[0], option[1].values[0])):
            wide = _widened(graph, group, target)
            if wide is not None and _count(wide) <= most:
                graph = wide
                chosen.append(group.values[0])
        if chosen:
            rest = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
            names = ", ".join(chosen[:_NAMED])
            context.notes.append(f"channels of zeros fill the blocks that kernels take: {names}{rest}")
        return graph


@dataclass
class _Group:
    """Values that have the same channels.

    Attributes:
        channels: how many.
        free: whether all who touch the values can take more channels.
    """

    channels: int
    values: list[str] = field(default_factory=list)
    free: bool = True


def _groups(graph: Graph) -> Iterator[_Group]:
    """Groups that are no whole number of blocks."""
    found: dict[str, _Group] = {}
    for name, kind in graph.types.items():
        if name not in graph.constants:
            shape = _plain_shape(kind)
            channels = shape[1] if len(shape) > 2 else None
            outside = name in graph.inputs or name in graph.outputs or not isinstance(channels, int)
            found[name] = _Group(channels if isinstance(channels, int) else 0, [name], not outside)
    for node in graph.nodes:
        live = [name for name in (*node.reads, *node.outputs) if name and name not in graph.constants]
        joined = _same_channels(node, graph)
        if joined is None:
            for name in live:
                found[name].free = False
        elif joined:
            _join(found, joined)
    groups = {id(group): group for group in found.values() if group.free and group.channels % _BLOCK}
    yield from groups.values()


def _plain_shape(kind: ValueType) -> tuple[int | str | None, ...]:
    """The shape of a value whose channels all have the same codes; () for others."""
    if not isinstance(kind, TensorType) or (kind.quant is not None and kind.quant.axis is not None):
        return ()
    return kind.shape or ()


def _join(found: dict[str, _Group], names: list[str]) -> None:
    first = found[names[0]]
    for other in (found[name] for name in names[1:]):
        if other is not first:
            first.values += other.values
            first.free = first.free and other.free and other.channels == first.channels
            for name in other.values:
                found[name] = first


def _same_channels(node: Node, graph: Graph) -> list[str] | None:
    """The values of a node that have the same channels; none where it ends groups, None where channels are mixed."""
    if node.op == "Conv":
        slots = weighted(node, graph)
        if slots is None or any(name not in graph.constants for name in node.inputs[1:] if name):
            return None
        if node.attr("group", 1) == 1:
            return []
        shape = graph.constants[node.inputs[1]].value.shape
        return [node.inputs[0], node.outputs[0]] if shape[1] == 1 and shape[0] == node.attr("group", 1) else None
    if node.op in _CHANNELWISE:
        others = [graph.value(name) for name in node.inputs[1:] if name]
        single = len([name for name in node.outputs if name]) == 1
        plain = single and all(value is not None and value.size == 1 for value in others)
        return [node.inputs[0], node.outputs[0]] if plain else None
    if node.op in _PAIRS:
        live = [name for name in node.inputs if name not in graph.constants]
        ranks = {len(graph.tensor(name).shape or ()) for name in (*live, *node.outputs)}
        return [*live, node.outputs[0]] if live and len(ranks) == 1 else None
    return None


def _widened(graph: Graph, group: _Group, target: Target) -> Graph | None:
    """The graph with whole blocks of channels, in inputs too where that then helps; None where constants are shared."""
    wide, values, edit = -(-group.channels // _BLOCK) * _BLOCK, set(group.values), Editor(graph)
    for node in graph.nodes:
        makes, reads = bool(values & {*node.outputs}), node.op == "Conv" and node.inputs[0] in values
        if node.op == "Conv":
            depthwise = node.attr("group", 1) > 1
            parts = [(1, 0), (2, 0)] if makes else []
            parts += [(1, 1)] if reads and not depthwise else []
            if makes and depthwise:
                edit.replace(node, edit.current(node).with_(attrs={**node.attrs, "group": wide}))
        else:
            rank = len(graph.tensor(node.outputs[0]).shape or ()) if makes else 0
            parts = [(slot, 1 - rank + graph.constants[name].value.ndim) for slot, name in enumerate(node.inputs)
                     if makes and name in graph.constants]  # fmt: skip
        for slot, axis in parts:
            if node.input(slot) and not _pad(edit, node, node.inputs[slot], axis, group.channels, wide):
                return None
    for name in values:
        kind = graph.tensor(name)
        assert kind.shape is not None
        edit.set_type(name, replace(kind, shape=(kind.shape[0], wide, *kind.shape[2:])))
    return _with_inputs(edit.build(), target)


def _pad(edit: Editor, node: Node, name: str, axis: int, size: int, wide: int) -> bool:
    """Appends zeros to a constant along an axis; one that is broadcast there stays. False where others read it too,
    and for codes that have no zero."""
    kind, constant = edit.types[name], edit.constants[name]
    assert isinstance(kind, TensorType)
    if axis < 0 or constant.value.shape[axis] == 1 != size:
        return True
    quant = kind.quant
    if edit.graph.index.sole_consumer(name) is not node or constant.value.shape[axis] != size or (
        quant is not None and (quant.block_size or quant.rounding == "binary")
    ):  # fmt: skip
        return False
    more = [(0, wide - size if place == axis else 0) for place in range(constant.value.ndim)]
    value, codes = np.pad(constant.value, more), None
    if quant is not None:
        if quant.axis is not None and quant.axis % value.ndim == axis:
            scale, zero, limit = (np.pad(array, (0, wide - size), "edge")
                                  for array in (quant.scale, quant.zero_point, quant.threshold))  # fmt: skip
            quant = replace(quant, scale=scale, zero_point=zero, threshold=limit)
        if constant.codes is not None:
            codes = np.array(encode(value, quant))
            codes[tuple(slice(length) for length in constant.value.shape)] = constant.codes
    edit.set_constant(name, Constant(value, codes))
    edit.set_type(name, TensorType(kind.dtype, value.shape, quant))
    return True


def _with_inputs(graph: Graph, target: Target) -> Graph:
    """The graph with padded inputs where that is faster."""
    for name in graph.inputs:
        padded = _padded_input(graph, name)
        graph = padded if padded is not None and _saved(graph, padded, target) > 0 else graph
    return graph


def _padded_input(graph: Graph, name: str) -> Graph | None:
    """The graph with channels of zeros behind those of an input that convolutions alone read, as codes."""
    kind, readers = graph.types[name], graph.index.consumers(name)
    shape = _plain_shape(kind)
    if not isinstance(kind, TensorType) or kind.quant is None or len(shape) < 3:
        return None
    channels = shape[1]
    if not isinstance(channels, int) or channels % _INPUTS == 0 or channels > _INPUTS or name in graph.outputs:
        return None
    if not readers or any(_same_channels(node, graph) != [] for node in readers):
        return None
    edit = Editor(graph)
    pads = np.zeros((2, len(shape)), np.int64)
    pads[1, 1] = _INPUTS - channels
    wide = TensorType(kind.dtype, (shape[0], _INPUTS, *shape[2:]), kind.quant)
    edit.set_type(name, TensorType(kind.dtype, kind.shape))
    operands = (name, edit.constant(f"{name}_pads", pads.reshape(-1)))
    (padded,) = edit.node("Pad", operands, outputs=(edit.fresh_value(f"{name}_padded"),), types=(wide,),
                          name=f"{name}_Pad")  # fmt: skip
    for node in readers:
        if not _pad(edit, node, node.inputs[1], 1, channels, _INPUTS):
            return None
        edit.replace_input(node, 0, padded)
    return edit.build()


def _saved(before: Graph, after: Graph, target: Target) -> float:
    """ns that a change saves by the target's costs; 0 where shapes are not known."""
    try:
        return _time(before, target) - _time(after, target)
    except (KeyError, TypeError, ValueError):
        return 0.0


def _time(graph: Graph, target: Target) -> float:
    assert target.costs is not None
    single = with_ones(graph)
    return sum(target.costs.node(node, single, _on_codes(node, graph)) for node in graph.nodes)


def _on_codes(node: Node, graph: Graph) -> bool:
    """Whether a node's operand, weight and result have 8-bit codes; others run in float."""
    slots = weighted(node, graph)
    names = (node.inputs[0], node.outputs[0], *(() if slots is None else (node.inputs[slots.weight],)))
    kinds = [graph.types[name] for name in names]
    return all(isinstance(kind, TensorType) and kind.quant is not None and kind.quant.storage.bits == 8
               for kind in kinds)  # fmt: skip


def _count(graph: Graph) -> int:
    return sum(constant.value.size for constant in graph.constants.values())
