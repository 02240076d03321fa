"""Conv, ConvTranspose, Gemm and MatMul with constant weights, as one thing: a linear map with a bias.

    y = W x + b,    s (W x + b) + t = (s W) x + (s b + t),    W (s x + t) + b = (W s) x + (b + W t)

with s and t one number a channel. All of it is calculated in float64 and rounded once, when the node is written. A
weight that has codes keeps them: s W has the scales |s| times as large, and the codes q, around their zero point z,
turned over to 2 z - q where s is negative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import reads_few_codes, weighted
from qir.quant.channels import along
from qir.quant.scales import decode, encode
from qir.rewrite.editor import Editor
from qir.rewrite.guards import is_quantized, put
from qir.rewrite.pattern import Match, Refused, Rewrite
from qir.target import Target

LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def per_channel(array: np.ndarray, channels: int, rank: int, behind: int) -> np.ndarray | None:
    """A broadcast constant as one number a channel.

    Args:
        array: constant operand of an elementwise operator.
        channels: size of the channel axis of the other operand.
        rank: of the other operand.
        behind: number of axes behind its channel axis.

    Returns:
        float64 [channels]; None if the constant varies along other axes or would enlarge the result.
    """
    if array.ndim > rank:
        return None
    full = array.reshape((1,) * (rank - array.ndim) + array.shape)
    axis = rank - 1 - behind
    if axis < 0 or full.size != full.shape[axis] or full.size not in (1, channels):
        return None
    return np.broadcast_to(full.reshape(-1).astype(np.float64), (channels,)).copy()


@dataclass(frozen=True)
class Linear:
    """A linear node with its numbers.

    Attributes:
        node: Conv, ConvTranspose, Gemm or MatMul.
        rank: of its result; 2 for a Gemm.
        original: the weight constant as it is.
        weight: in the node's own layout; Gemm's alpha is multiplied in.
        bias: [channels] with Gemm's beta multiplied in, None if it has none.
        quant, codes: of a weight that has codes; `weight` is then what they stand for.
    """

    node: Node
    rank: int
    original: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    quant: Affine | None = None
    codes: np.ndarray | None = None

    @property
    def behind(self) -> int:
        """Axes behind the channel axis, of the operand and of the result."""
        return self.weight.ndim - 2 if self.node.op in ("Conv", "ConvTranspose") else 0

    @property
    def group(self) -> int:
        return int(self.node.attr("group", 1))

    @property
    def _transposed(self) -> bool:
        return self.node.op == "Gemm" and bool(self.node.attr("transB", 0))

    @property
    def outputs(self) -> int:
        """Channels of the result."""
        if self.node.op == "ConvTranspose":
            return int(self.weight.shape[1]) * self.group
        return int(self.weight.shape[0 if self.node.op == "Conv" or self._transposed else 1])

    @property
    def inputs(self) -> int:
        """Channels of the operand."""
        if self.node.op == "Conv":
            return int(self.weight.shape[1]) * self.group
        return int(self.weight.shape[1 if self._transposed else 0])

    @property
    def pads(self) -> bool:
        """Whether zeros around the operand take part, or for a ConvTranspose, taps are missing at the borders."""
        if self.node.op == "ConvTranspose":
            return True
        automatic = self.node.attr("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
        return self.node.op == "Conv" and (automatic or any(self.node.attr("pads") or ()))

    def scaled(self, s: np.ndarray) -> Linear:
        """With the result times s, [outputs]."""
        bias = None if self.bias is None else self.bias * s
        if self.quant is not None:
            return self._scaled_codes(self.quant, s, bias)
        weight = self.weight.astype(np.float64)
        if self.node.op == "ConvTranspose":
            parts = weight.reshape(self.group, -1, *self.weight.shape[1:])
            factors = s.reshape(self.group, 1, -1, *(1,) * (self.weight.ndim - 2))
            return replace(self, weight=(parts * factors).reshape(self.weight.shape), bias=bias)
        along = (-1, *(1,) * (self.weight.ndim - 1)) if self.node.op == "Conv" or self._transposed else (-1,)
        return replace(self, weight=weight * s.reshape(along), bias=bias)

    def _scaled_codes(self, quant: Affine, s: np.ndarray, bias: np.ndarray | None) -> Linear:
        assert self.codes is not None
        axis = self._channel_axis
        with np.errstate(over="ignore"):
            scale = (np.broadcast_to(quant.scale, s.shape) * np.abs(s)).astype(np.float32)
        turned = replace(quant, scale=scale, zero_point=np.broadcast_to(quant.zero_point, s.shape), axis=axis,
                         threshold=np.zeros(s.shape))  # fmt: skip
        zero = along(turned.zero_point, axis, self.codes.shape)
        flip = along(np.where(s < 0, -1, 1), axis, self.codes.shape)
        codes = zero + flip * (self.codes.astype(np.int32) - zero)
        return replace(self, weight=decode(codes, turned), bias=bias, quant=turned, codes=codes)

    @property
    def _channel_axis(self) -> int:
        return 0 if self.node.op == "Conv" or self._transposed else 1

    def shifted(self, t: np.ndarray) -> Linear:
        """With t, [outputs], added to the result."""
        return replace(self, bias=t.astype(np.float64) if self.bias is None else self.bias + t)

    def of_scaled(self, s: np.ndarray) -> Linear:
        """For an operand times s, [inputs]."""
        weight = self.weight.astype(np.float64)
        if self.node.op == "Conv":
            parts = weight.reshape(self.group, -1, *self.weight.shape[1:])
            factors = s.reshape(self.group, 1, -1, *(1,) * (self.weight.ndim - 2))
            return replace(self, weight=(parts * factors).reshape(self.weight.shape))
        along = (-1,) if self._transposed else (-1, *(1,) * (self.weight.ndim - 1))
        return replace(self, weight=weight * s.reshape(along))

    def of_shifted(self, t: np.ndarray) -> Linear:
        """For an operand plus t, [inputs]; only right where `pads` is false."""
        weight = self.weight.astype(np.float64)
        if self.node.op == "Conv":
            sums = weight.reshape(self.group, -1, *self.weight.shape[1:]).sum(tuple(range(3, weight.ndim + 1)))
            return self.shifted(np.einsum("gmc,gc->gm", sums, t.reshape(self.group, -1)).reshape(-1))
        return self.shifted(weight @ t if self._transposed else t @ weight)

    @property
    def fits(self) -> bool:
        """False if a number leaves the node's element type, or a code or scale what codes can say."""
        quant, codes = self.quant, self.codes
        if quant is not None and codes is not None:
            normal = np.isfinite(quant.scale) & (quant.scale >= np.finfo(np.float32).tiny)
            inside = (quant.qmin <= codes.astype(np.int32)) & (codes.astype(np.int32) <= quant.qmax)
            if not normal.all() or not inside.all():
                return False
        return all(part is None or bool(np.isfinite(part).all()) for part in self._rounded())

    def _rounded(self) -> tuple[np.ndarray, np.ndarray | None]:
        kind = self.original.dtype
        with np.errstate(over="ignore"):
            return self.weight.astype(kind), None if self.bias is None else self.bias.astype(kind)

    def write(self, found: Match, edit: Editor, x: str) -> str:
        """The node with these numbers in the place of a match, on operand `x`."""
        weight, bias = self._rounded()
        node, users = self.node, found.inner
        inputs = [x, node.inputs[1]]
        if self.weight is not self.original:
            codes = None if self.quant is None or self.codes is None else self.codes.astype(self.quant.storage.numpy)
            inputs[1] = edit.revised(node.inputs[1], weight, users, codes=codes, quant=self.quant)
        if bias is not None:
            old = node.input(2)
            inputs.append(edit.revised(old, bias, users) if old else edit.constant(f"{node.name}_bias", bias))
        kind = "Gemm" if node.op == "MatMul" and bias is not None else node.op
        attrs = {key: value for key, value in node.attrs.items() if key not in ("alpha", "beta")}
        return put(found, edit, kind, inputs, attrs, main=node)


def with_exact_sums(rewrite: Rewrite, target: Target) -> Rewrite:
    """A rewrite that leaves a layer on few codes as it is where the target adds them in float.

    Trained scales are mostly 1 or powers of two, so that float32 adds the products without rounding, and a threshold
    behind sees what it saw in training. With factors of another kind, or a bias to start from, the sums would round,
    and what lies near a threshold change sides. C adds the codes themselves.
    """

    def guarded(found: Match, edit: Editor) -> str | Refused:
        few = any(node.op in LINEAR and reads_few_codes(node, found.graph) for node in found.inner)
        if few and target.backend != "c":
            return Refused("its sums are exact as they are")
        return rewrite(found, edit)

    return guarded


def read(graph: Graph, node: Node) -> Linear | Refused:
    """The numbers of a Conv, ConvTranspose, Gemm or MatMul, or why they cannot be had."""
    weight = graph.value(node.input(1))
    if weight is None or weight.dtype.kind != "f":
        return Refused("its weights are not constant floats")
    if node.op == "MatMul" and weight.ndim != 2:
        return Refused("its weights are not a matrix")
    shape = getattr(graph.types.get(node.outputs[0]), "shape", None)
    rank = weight.ndim if node.op != "MatMul" else 0 if shape is None else len(shape)
    alpha, beta = float(node.attr("alpha", 1.0)), float(node.attr("beta", 1.0))
    result = Linear(node, rank, weight, weight if alpha == 1 else alpha * weight.astype(np.float64), None)
    if is_quantized(graph, node.inputs[1]):
        coded = _with_codes(graph, result, alpha)
        if isinstance(coded, Refused):
            return coded
        result = coded
    if not node.input(2):
        return result
    array = graph.value(node.input(2))
    if array is None or is_quantized(graph, node.input(2)):
        return Refused("its bias is not constant" if array is None else "its bias has codes")
    bias = per_channel(array, result.outputs, 2, 0) if node.op == "Gemm" else array.astype(np.float64)
    return Refused("its bias varies over rows") if bias is None else replace(result, bias=beta * bias)


def _with_codes(graph: Graph, linear: Linear, alpha: float) -> Linear | Refused:
    node, quant = linear.node, graph.tensor(linear.node.inputs[1]).quant
    constant, slots = graph.constants[node.inputs[1]], weighted(node, graph)
    assert quant is not None
    assert slots is not None
    if quant.block_size or quant.axis not in (None, slots.channel_axis % constant.value.ndim):
        return Refused("its weight has other scales than one an output channel")
    if alpha != 1 or (node.op == "ConvTranspose" and linear.group != 1):
        return Refused("its weight has codes, and its channels are not those of the result")
    codes = encode(constant.value, quant) if constant.codes is None else constant.codes
    return replace(linear, original=constant.value, weight=constant.value, quant=quant, codes=codes)


def feature_count(graph: Graph, name: str, rank: int, behind: int) -> int | None:
    """The size of the channel axis of a value of the given rank, None if not known."""
    kind = graph.types.get(name)
    if not isinstance(kind, TensorType) or kind.shape is None or len(kind.shape) != rank:
        return None
    count = kind.shape[rank - 1 - behind]
    return count if isinstance(count, int) else None
