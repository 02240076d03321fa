"""`correct-biases`: moves each layer's bias by what rounding moved the mean of its results.

Layer by layer in the order of execution, with the rounded and corrected network in front of it:

    b_c += d_c,   E[f(y_quant + d)] = E[f(y_real)] in every channel c

f is the Relu or Clip that the layer's codes hold and, for y_quant, also their clamp: what follows sees the mean behind
them. Both networks are walked at once (qir.walk). What the samples do not tell from zero is left: d is shrunk by its
standard error, and dropped where the layer's own error does not fall.

Without samples, the same for the weights' part alone, with the means of the inputs that calibration saw, or that
BatchNorm statistics give (`estimate-ranges`): `d = (W - W_rounded) E[x]`. With samples that is tried too: of both ways,
and of leaving biases alone, the one counts whose outputs on other samples are closest to the float model's.

Source: Nagel et al., arXiv 1906.04721, section 4.2; the shrinkage is the positive part of 1 - se^2 / d^2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qir.calibration import Batch, Feeds
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.clamp import bounds
from qir.passes.quantize.estimate_ranges import channels_read
from qir.passes.quantize.observed import as_rows, gram_of
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.scales import decode
from qir.rewrite.editor import Editor
from qir.walk import Walk, without_codes

_STEPS = 4
"""Newton steps for d; the mean behind a clamp is piecewise linear in it."""
_JUDGES = 8
"""Fewer other samples than these judge worse than those that the corrections come from."""
_PIECE = 4
"""Samples that run at once."""
_BUDGET = 3 << 26
"""Bytes of the largest values that the walks may keep, which bounds the number of samples."""


@dataclass(frozen=True)
class CorrectBiases(Pass):
    """Corrects the biases of Conv, ConvTranspose and Gemm layers with rounded weights; adds those that are missing.

    Layers inside the bodies of If, Loop and Scan keep theirs.

    Attributes:
        samples: how many to look at, at most; four times as many where weights take few values, as there is more to
            correct, but fewer where their values would need more than 200 MB.
    """

    name: ClassVar[str] = "correct-biases"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY
    samples: int = 64

    def run(self, graph: Graph, context: Context) -> Graph:
        layers = {node: slots for node in graph.nodes if (slots := _correctable(node, graph)) is not None}
        if not layers:
            return graph
        if context.feeds is None:
            simple, counted = _by_means(graph, layers, context)
            context.notes += [_said(counted, len(layers))] if counted else []
            return simple
        batches, others = _divided(first_samples(graph, context.feeds, self.samples * _often(layers, context)))
        real, quant = Walk(without_codes(graph), batches), Walk(graph, batches)
        edit, corrected = Editor(graph), 0
        for node, slots in layers.items():
            wanted, found = real.run(node), quant.run(node)
            axis = 1 if node.op.startswith("Conv") else found[0].ndim - 1
            pairs = [(valid_part(a, batch), valid_part(b, batch))
                     for a, b, batch in zip(wanted, found, batches, strict=True)]  # fmt: skip
            move = _correction(pairs, axis, _clamps(node, graph))
            if move.any():
                corrected += 1
                add_to_bias(edit, node, slots, move)
                shape = [-1 if i == axis else 1 for i in range(found[0].ndim)]
                found = [array + move.reshape(shape) for array in found]
            quant.put(node.outputs[0], found)
        simple, counted = _by_means(graph, layers, context)
        samples = sum(batch.valid for batch in batches)
        choices = [
            (graph, f"biases stay: correcting them on {samples} samples does not bring the outputs closer"),
            (edit.build(), f"corrected the biases of {corrected} of {len(layers)} layers on {samples} samples"),
        ]
        if counted:
            choices.append((simple, _said(counted, len(layers))))
        goal = Walk(without_codes(graph), others).outputs()
        chosen, note = min(choices, key=lambda choice: _error(goal, Walk(choice[0], others).outputs()))
        context.notes.append(note)
        return chosen


def _often(layers: Iterable[Node], context: Context) -> int:
    treatments = [context.recipe.layer((node.name, *node.origin), node.op) for node in layers]
    return 4 if any(layer.has_few_values for layer in treatments) else 1


def _error(goal: Mapping[str, list[Any]], found: Mapping[str, list[Any]]) -> float:
    """Squared error of the outputs relative to their power, summed over the real ones."""
    total = 0.0
    for name, arrays in goal.items():
        pairs = [(np.asarray(a, np.float64), b) for a, b in zip(arrays, found[name], strict=True)
                 if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.shape == np.shape(b)]  # fmt: skip
        power = sum(float(np.square(a).sum()) for a, _ in pairs)
        if power > 0:
            total += sum(float(np.square(a - b).sum()) for a, b in pairs) / power
    return total


def _by_means(graph: Graph, layers: Mapping[Node, Weighted], context: Context) -> tuple[Graph, int]:
    """A layer's bias moves by (W - W_rounded) E[x], E[x] as calibration or BatchNorms tell; and how many layers' do."""
    edit, corrected = Editor(graph), 0
    for node, slots in layers.items():
        weight, quant = graph.constants[node.inputs[slots.weight]], graph.tensor(node.inputs[slots.weight]).quant
        if quant is None or node.op == "ConvTranspose" or node.attr("transA", 0) or weight.codes is None:
            continue
        off = as_rows(node, weight.value.astype(np.float64) - decode(weight.codes, quant))
        means = _input_means(node, weight.value, off.shape, context)
        if means is None:
            continue
        move = (off * means).sum(axis=1).astype(np.float32)
        if np.isfinite(move).all() and move.any():
            corrected += 1
            add_to_bias(edit, node, slots, move)
    return edit.build(), corrected


def _said(corrected: int, layers: int) -> str:
    return f"corrected the biases of {corrected} of {layers} layers by their inputs' means"


def _input_means(node: Node, weight: np.ndarray, shape: tuple[int, int], context: Context) -> np.ndarray | None:
    """E[x] for every element of a layer's weight as rows, [O, K]; None where it is not known."""
    groups = int(node.attr("group", 1))
    gram, moments = gram_of(node, weight, context), context.moments.get(node.inputs[0])
    if gram is not None and gram.rows:
        return np.repeat(gram.mean, shape[0] // groups, axis=0)
    if moments is None:
        return None
    inputs = len(moments.mean) // groups
    return np.repeat(moments.mean[channels_read(shape[0], inputs, groups)], shape[1] // inputs, axis=1)


def _correctable(node: Node, graph: Graph) -> Weighted | None:
    """The slots of a layer with a rounded weight whose bias may change: none yet, or a real vector."""
    slots = weighted(node, graph)
    if slots is None or graph.tensor(node.inputs[slots.weight]).quant is None:
        return None
    return slots if may_move_bias(node, slots, graph) else None


def may_move_bias(node: Node, slots: Weighted, graph: Graph) -> bool:
    """Whether a layer can add another vector to its results: it has no bias yet, or a real vector."""
    if slots.bias < 0 or node.attr("beta", 1.0) != 1.0:
        return False
    name = node.input(slots.bias)
    if not name:
        return True
    bias = graph.value(name)
    vector = bias is not None and bias.size in (1, bias.shape[-1] if bias.ndim else 1)
    return vector and graph.tensor(name).quant is None


def _divided(pieces: list[Batch]) -> tuple[list[Batch], list[Batch]]:
    """Three quarters to correct on and the others to judge by; all for both where those are too few."""
    first = len(pieces) * 3 // 4
    judges = sum(piece.valid for piece in pieces[first:])
    return (pieces[:first], pieces[first:]) if first and judges >= _JUDGES else (pieces, pieces)


def first_samples(graph: Graph, feeds: Feeds, limit: int) -> list[Batch]:
    """The first samples, few at a time where the model leaves it open, cut to the memory that walks may take."""
    axes, open_size = feeds.interface.batch_axes, not feeds.interface.fixed_batch
    pieces: list[Batch] = []
    count = 0
    for batch in feeds:
        limit = min(limit, max(1, _BUDGET // _largest(graph, batch)))
        step = _PIECE if open_size and axes else batch.size
        for start in range(0, batch.valid, step):
            if count >= limit:
                break
            stop = min(start + step, batch.size)
            arrays = {name: np.take(array, range(start, stop), axes[name]) if name in axes else array
                      for name, array in batch.items()}  # fmt: skip
            pieces.append(Batch(arrays, min(stop, batch.valid) - start, stop - start))
            count += pieces[-1].valid
        if count >= limit:
            break
    return pieces


def _largest(graph: Graph, batch: Batch) -> int:
    """Bytes that one sample of the largest value takes, as far as shapes are known."""
    sizes = {dim: size for name in graph.inputs
             for dim, size in zip(graph.tensor(name).shape or (), np.shape(batch[name]), strict=False)}  # fmt: skip
    largest = 1
    for kind in graph.types.values():
        if isinstance(kind, TensorType) and kind.shape:
            known = [dim if isinstance(dim, int) else sizes.get(dim, 1) for dim in kind.shape[1:]]
            largest = max(largest, 4 * int(np.prod(known, dtype=np.int64)))
    return largest


def valid_part(array: np.ndarray, batch: Batch) -> np.ndarray:
    """What of a value's batch are data."""
    return array[: batch.valid] if array.shape[0] == batch.size != batch.valid else array


def _clamps(node: Node, graph: Graph) -> tuple[tuple[float, float], tuple[float, float]]:
    """What clamps a layer's results: its activation, and that together with the codes."""
    inf = float("inf")
    user = graph.index.sole_consumer(node.outputs[0])
    quant = graph.tensor(node.outputs[0]).quant
    real = bounds(user, graph) if user is not None and quant is None else None
    if user is not None and real is not None:
        quant = graph.tensor(user.outputs[0]).quant
    low, high = real or (-inf, inf)
    if quant is None or quant.axis is not None:
        return (low, high), (low, high)
    ends = decode(np.array([quant.qmin, quant.qmax]), quant)
    return (low, high), (max(low, float(ends[0])), min(high, float(ends[1])))


def _correction(
    pairs: list[tuple[np.ndarray, np.ndarray]], axis: int,
    clamps: tuple[tuple[float, float], tuple[float, float]],
) -> np.ndarray:  # fmt: skip
    """d, float32 [C], for pairs of real and rounded results; zeros where it would not help."""
    real, quant = (_rows([pair[i] for pair in pairs], axis) for i in (0, 1))
    wanted = np.clip(real, *clamps[0])
    goal = wanted.mean(axis=(1, 2), dtype=np.float64)
    move = (real - quant).mean(axis=(1, 2), dtype=np.float64)
    for _ in range(_STEPS):
        moved = quant + move[:, None, None].astype(np.float32)
        inside = ((moved > clamps[1][0]) & (moved < clamps[1][1])).mean(axis=(1, 2))
        off = goal - np.clip(moved, *clamps[1]).mean(axis=(1, 2), dtype=np.float64)
        move += off * np.where(inside > 0.05, 1 / np.maximum(inside, 0.05), 0.0)
    before = np.clip(quant, *clamps[1])
    each = (wanted - before).mean(axis=2, dtype=np.float64)
    error = each.var(axis=1) / max(each.shape[1] - 1, 1)
    mean = each.mean(axis=1)
    move *= np.maximum(0.0, 1 - error / np.maximum(mean**2, np.finfo(np.float64).tiny))
    after = np.clip(quant + move[:, None, None].astype(np.float32), *clamps[1])
    worse = np.square(after - wanted).sum(axis=(1, 2), dtype=np.float64) >= np.square(before - wanted).sum(
        axis=(1, 2), dtype=np.float64
    )
    return np.where(worse | ~np.isfinite(move), 0.0, move).astype(np.float32)


def _rows(arrays: list[np.ndarray], axis: int) -> np.ndarray:
    """Results as [C, samples, positions]."""
    parts = []
    for array in arrays:
        channels = np.moveaxis(array, axis, 0)
        parts.append(channels.reshape(channels.shape[0], channels.shape[1] if channels.ndim > 1 else 1, -1))
    return np.concatenate(parts, axis=1)


def add_to_bias(edit: Editor, node: Node, slots: Weighted, move: np.ndarray) -> None:
    """Moves a layer's results by a vector [C]; a layer without a bias gets one."""
    current = edit.current(node)
    name = current.input(slots.bias)
    if not name:
        added = edit.constant(f"{node.name}_bias", move)
        edit.replace(current, current.with_(inputs=(*current.inputs[: slots.bias], added)))
        return
    bias = edit.constants[name].value
    value = (bias.reshape(-1) + move).astype(bias.dtype)
    edit.replace_input(node, slots.bias, edit.revised(name, value.reshape((*bias.shape[:-1], -1)), (node,)))
