"""LSTM, GRU and RNN on floats."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32.panels import panel_weights
from qir.backends.c.program import Arg, Data, Kernel, Scalar, Scratch, Struct

_HERE = Path(__file__).parent
_VECTORS = _HERE / "recurrent_f32__vectors.c"
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_ROOM = {"LSTM": 8, "GRU": 7, "RNN": 2}
_FUNCTIONS = ("sigmoid", "tanh", "relu", "affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu",
              "softsign", "softplus")  # fmt: skip
_NUMBERS = {
    "affine": (1.0, 0.0), "leakyrelu": (0.01, None), "thresholdedrelu": (1.0, None), "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5), "elu": (1.0, None),
}  # fmt: skip
"""Default alpha and beta of the functions that have them; None where a function has no beta."""
_UNCLIPPED = float(np.finfo(np.float32).max)


def _directions(site: Site) -> int:
    return 2 if site.node.attr("direction", "forward") == "bidirectional" else 1


def _names(site: Site) -> tuple[str, ...]:
    given = site.node.attr("activations") or _DEFAULTS[site.node.op] * _directions(site)
    return tuple(str(name).lower() for name in given)


def _functions(site: Site) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
    """Number, alpha and beta of three functions a direction; numbers go, in order, to functions that take some."""
    alphas = iter(site.node.attr("activation_alpha") or ())
    betas = iter(site.node.attr("activation_beta") or ())
    names, each = _names(site), len(_DEFAULTS[site.node.op])
    rows: list[tuple[int, float, float]] = []
    for direction in range(2):
        chosen = names[direction * each : (direction + 1) * each]
        for name in chosen:
            alpha, beta = _NUMBERS.get(name, (None, None))
            rows.append((
                _FUNCTIONS.index(name), 0.0 if alpha is None else float(next(alphas, alpha)),
                0.0 if beta is None else float(next(betas, beta)),
            ))  # fmt: skip
        rows += [(0, 0.0, 0.0)] * (3 - len(chosen))
    return tuple(r[0] for r in rows), tuple(r[1] for r in rows), tuple(r[2] for r in rows)


def _takes(site: Site) -> str | None:
    return None if site.input(0).dtype.name == "float32" else "only float32 is computed"


def _accepts(site: Site) -> str | None:
    unknown = [name for name in _names(site) if name not in _FUNCTIONS]
    return f"the activation {unknown[0]} is not known" if unknown else None


def _packed(w: np.ndarray, gates: int) -> np.ndarray:
    """[D, gates * H, K] to [D][gates][ceil(H / 8)][K][8], zeros beyond the last hidden unit."""
    directions, rows, depth = w.shape
    hidden = rows // gates
    blocks = -(-hidden // 8)
    padded = np.zeros((directions, gates, blocks * 8, depth), np.float32)
    padded[:, :, :hidden] = w.reshape(directions, gates, hidden, depth)
    return np.ascontiguousarray(padded.reshape(directions, gates, blocks, 8, depth).transpose(0, 1, 2, 4, 3))


def _given(operand: Operand | None, size: int) -> Arg:
    return Data(np.zeros(size, np.float32), "zeros") if operand is None else operand.read


def _shape(site: Site, packed: bool) -> Struct:
    """The qir_recurrent_shape of a site."""
    node, x, r = site.node, site.input(0), site.input(2)
    directions, hidden = _directions(site), r.shape[2]
    by_sample, (batch, steps) = bool(node.attr("layout", 0)), _extent(site)
    inputs = x.shape[2]
    kinds, alphas, betas = _functions(site)
    strides = (
        (inputs, steps * inputs, directions * hidden, hidden, steps * directions * hidden, hidden, directions * hidden)
        if by_sample else
        (batch * inputs, inputs, directions * batch * hidden, batch * hidden, hidden, batch * hidden, hidden)
    )  # fmt: skip
    writes_y, clip = bool(site.outputs) and site.outputs[0] is not None, node.attr("clip")
    names = ("x_step_stride", "x_sample_stride", "y_step_stride", "y_direction_stride", "y_sample_stride",
             "state_direction_stride", "state_sample_stride")  # fmt: skip
    return Struct("qir_recurrent_shape", (
        ("steps", steps), ("batch", batch), ("inputs", inputs), ("hidden", hidden), ("directions", directions),
        ("backward", int(node.attr("direction", "forward") == "reverse")), ("packed", int(packed)),
        ("variant", int(node.attr("input_forget", 0) or node.attr("linear_before_reset", 0))),
        ("writes_y", int(writes_y)), *zip(names, strides, strict=True),
        ("clip", float(np.float32(clip)) if clip else _UNCLIPPED),
        ("function", kinds), ("alpha", alphas), ("beta", betas),
    ))  # fmt: skip


def _extent(site: Site) -> tuple[int, int]:
    """Samples and steps."""
    shape = site.input(0).shape
    return (shape[0], shape[1]) if site.node.attr("layout", 0) else (shape[1], shape[0])


def _results(site: Site) -> tuple[Arg, ...]:
    """Where all states and the last of each go, scratch where nobody wants them."""
    outputs = [site.outputs[slot] if slot < len(site.outputs) else None for slot in range(3)]
    states = max(_directions(site) * _extent(site)[0] * site.input(2).shape[2], 1)
    last = (y.write if y else Scratch(states * 4) for y in outputs[1:])
    return (outputs[0].write if outputs[0] else Scratch(4), *last)


def _lengths(site: Site) -> Arg:
    lengths, (batch, steps) = site.optional(4), _extent(site)
    return Data(np.full(batch, steps, np.int32), "lengths") if lengths is None else lengths.read


def _bind(site: Site) -> Bound:
    node, x, w, r = site.node, site.input(0), site.input(1), site.input(2)
    gates, directions, hidden = _GATES[node.op], _directions(site), r.shape[2]
    states = directions * _extent(site)[0] * hidden
    packed = w.value is not None and r.value is not None
    weights: tuple[Arg, Arg] = (w.read, r.read)
    if w.value is not None and r.value is not None:
        weights = (Data(_packed(w.value, gates), "weights"), Data(_packed(r.value, gates), "recurrent weights"))
    cell: tuple[Arg, ...] = ()
    if node.op == "LSTM":
        cell = (_given(site.optional(6), states), _given(site.optional(7), directions * 3 * hidden))
    bias = _given(site.optional(3), directions * 2 * gates * hidden)
    args = (_shape(site, packed), x.read, *weights, bias, _lengths(site),
            _given(site.optional(5), states), *cell, *_results(site)[: 3 if cell else 2],
            Scratch(_ROOM[node.op] * hidden * 4))  # fmt: skip
    name = node.op.lower()
    return Bound(Kernel(f"qir_{name}_f32__portable", _HERE / f"{name}_f32__portable.c"), args)


def _accepts_vectors(site: Site) -> str | None:
    given = [site.optional(slot) for slot in (1, 2, 3, 7)]
    if any(operand is not None and operand.value is None for operand in given):
        return "weights, biases or peepholes are computed"
    if _names(site) != tuple(name.lower() for name in _DEFAULTS[site.node.op] * _directions(site)):
        return "its functions are not the default ones"
    return None


def _columns(w: np.ndarray, panel: int) -> np.ndarray:
    """[D, M, K] to [D][panel][K][width], flat from the second axis on."""
    return np.stack([np.asarray(panel_weights(one, 1, panel).array).reshape(-1) for one in w])


def _filled(bias: np.ndarray, panel: int) -> np.ndarray:
    """[D, M] with zeros up to whole panels."""
    return np.pad(bias, ((0, 0), (0, -bias.shape[1] % panel)))


def _bind_vectors(site: Site, isa: str) -> Bound:
    op, (w, r), panel = site.node.op, (np.asarray(site.constant(slot)) for slot in (1, 2)), VECTORS[isa].panel
    directions, hidden, gates = _directions(site), r.shape[2], _GATES[op]
    states, pitch = directions * _extent(site)[0] * hidden, -(-gates * hidden // panel) * panel
    both = site.constant(3)
    both = np.zeros((directions, 2 * gates * hidden), np.float32) if both is None else both
    bias, own = both[:, : gates * hidden].copy(), both[:, gates * hidden :].copy()
    peepholes = site.constant(7)
    apart = np.zeros((directions, 3 * hidden), np.float32) if peepholes is None else peepholes
    recurrent = _columns(r, panel)
    if op == "GRU":
        recurrent = np.hstack([_columns(r[:, : 2 * hidden], panel), _columns(r[:, 2 * hidden :], panel)])
        apart = _filled(own[:, 2 * hidden :], panel)
        if site.node.attr("linear_before_reset", 0):
            own[:, 2 * hidden :] = 0
    first = _given(site.optional(6), states) if op == "LSTM" else Scalar(0)
    results = _results(site)[:3] if op == "LSTM" else (*_results(site)[:2], Scratch(states * 4))
    args = (_shape(site, True), Scalar(pitch), Scalar(recurrent.shape[1]), site.input(0).read,
            Data(_columns(w, panel), "weights"), Data(recurrent, "recurrent weights"),
            Data(_filled(bias + own, panel), "bias"), Data(np.ascontiguousarray(apart), "peepholes"),
            Scalar(apart.shape[1]), _lengths(site), _given(site.optional(5), states), first, *results,
            Scratch(18 * pitch * 4))  # fmt: skip
    words = (("QIR_CELL", f"qir_recurrent_f32_{op.lower()}"), ("QIR_GATES", str(gates)))
    name = f"qir_{op.lower()}_f32"
    return Bound(vector_kernel("qir_recurrent_f32", _VECTORS, isa, name=name, substitutions=words), args)


def _work(site: Site) -> float:
    """Multiply-accumulates."""
    return float(prod(_extent(site)) * sum(site.input(slot).size for slot in (1, 2)))


def _variants(op: str) -> tuple[Variant, ...]:
    return (
        Variant("portable", _HERE / f"{op.lower()}_f32__portable.c", _accepts, _bind),
        *(Variant(isa, _VECTORS, _accepts_vectors, partial(_bind_vectors, isa=isa), f"recurrent_f32__{isa}", _work)
          for isa in VECTORS),
    )  # fmt: skip


FAMILIES = tuple(Family(op.lower(), (op,), PLAIN, _variants(op), takes=_takes) for op in ("LSTM", "GRU", "RNN"))
