"""LSTM, GRU and RNN on floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.orders import PLAIN
from qir.backends.c.program import Arg, Data, Kernel, Scratch, Struct
from qir.backends.c.site import Operand, Site

_HERE = Path(__file__).parent
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


def _bind(site: Site) -> Bound:
    node, x, w, r = site.node, site.input(0), site.input(1), site.input(2)
    gates, directions, hidden = _GATES[node.op], _directions(site), r.shape[2]
    by_sample = bool(node.attr("layout", 0))
    batch, steps = (x.shape[0], x.shape[1]) if by_sample else (x.shape[1], x.shape[0])
    inputs, states = x.shape[2], directions * batch * hidden
    packed = w.value is not None and r.value is not None
    kinds, alphas, betas = _functions(site)
    strides = (
        (inputs, steps * inputs, directions * hidden, hidden, steps * directions * hidden, hidden, directions * hidden)
        if by_sample else
        (batch * inputs, inputs, directions * batch * hidden, batch * hidden, hidden, batch * hidden, hidden)
    )  # fmt: skip
    outputs = [site.outputs[slot] if slot < len(site.outputs) else None for slot in range(3)]
    clip = node.attr("clip")
    names = ("x_step_stride", "x_sample_stride", "y_step_stride", "y_direction_stride", "y_sample_stride",
             "state_direction_stride", "state_sample_stride")  # fmt: skip
    shape = Struct("qir_recurrent_shape", (
        ("steps", steps), ("batch", batch), ("inputs", inputs), ("hidden", hidden), ("directions", directions),
        ("backward", int(node.attr("direction", "forward") == "reverse")), ("packed", int(packed)),
        ("variant", int(node.attr("input_forget", 0) or node.attr("linear_before_reset", 0))),
        ("writes_y", int(outputs[0] is not None)), *zip(names, strides, strict=True),
        ("clip", float(np.float32(clip)) if clip else _UNCLIPPED),
        ("function", kinds), ("alpha", alphas), ("beta", betas),
    ))  # fmt: skip
    weights: tuple[Arg, Arg] = (w.read, r.read)
    if w.value is not None and r.value is not None:
        weights = (Data(_packed(w.value, gates), "weights"), Data(_packed(r.value, gates), "recurrent weights"))
    lengths = site.optional(4)
    spans = Data(np.full(batch, steps, np.int32), "lengths") if lengths is None else lengths.read
    last: list[Arg] = [y.write if y else Scratch(max(states, 1) * 4) for y in outputs[1:]]
    first: Arg = outputs[0].write if outputs[0] else Scratch(4)
    cell: tuple[Arg, ...] = ()
    if node.op == "LSTM":
        cell = (_given(site.optional(6), states), _given(site.optional(7), directions * 3 * hidden))
    args = (shape, x.read, *weights, _given(site.optional(3), directions * 2 * gates * hidden), spans,
            _given(site.optional(5), states), *cell, first, *last[: 2 if cell else 1],
            Scratch(_ROOM[node.op] * hidden * 4))  # fmt: skip
    name = node.op.lower()
    return Bound(Kernel(f"qir_{name}_f32__portable", _HERE / f"{name}_f32__portable.c"), args)


FAMILIES = tuple(
    Family(op.lower(), (op,), PLAIN, (Variant("portable", _HERE / f"{op.lower()}_f32__portable.c", _accepts, _bind),),
           takes=_takes)
    for op in ("LSTM", "GRU", "RNN")
)  # fmt: skip
