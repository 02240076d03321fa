"""Conv on floats."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.coded import Coded, float_kernel, float_weights
from qir.backends.c.binding.float_types import takes_floats, typed_kernel
from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32.panels import Panels, panel_bias, panel_weights, panels
from qir.backends.c.program import Arg, Data, Scratch, Struct
from qir.ops.window import Window, window

_HERE = Path(__file__).parent
_GENERIC, _DEPTHWISE = _HERE / "conv_f32__portable.c", _HERE / "conv_f32_depthwise__portable.c"
_COMPUTED = _HERE / "conv_computed__portable.c"
_PANELS, _DEPTHWISE_VECTORS = _HERE / "conv_f32__vectors.c", _HERE / "conv_f32_depthwise__vectors.c"
_GATHERED_BYTES = 32768


def _window(site: Site) -> Window:
    return window(site.node, site.input(0).shape[2:], site.input(1).shape[2:])


def is_pointwise(win: Window) -> bool:
    """True where output pixel i sees input pixel i alone."""
    return win.output == win.input and all(k == 1 for k in win.kernel) and all(s == 1 for s in win.strides)


def conv_f32_shape(site: Site, chunk: int) -> Struct:
    """The qir_conv_f32_shape of a site."""
    x, w = site.input(0), site.input(1)
    groups = int(site.node.attr("group", 1))
    return Struct("qir_conv_f32_shape", (
        ("window", window_fields(x.shape[0], _window(site))), ("groups", groups), ("in_channels", w.shape[1]),
        ("out_channels", w.shape[0] // groups), ("chunk", chunk),
    ))  # fmt: skip


def bias_of(site: Site, slot: int, channels: int) -> Arg:
    """A bias [channels], zeros where it was omitted."""
    bias = site.optional(slot)
    return Data(np.zeros(channels, site.output.dtype.numpy), "bias") if bias is None else bias.read


def few_axes(site: Site) -> str | None:
    """The reason to refuse an input with other than one to three spatial axes."""
    spatial = site.input(0).rank - 2
    return None if 1 <= spatial <= 3 else f"{spatial} spatial axes, 1 to 3 are supported"


def accepts(site: Site) -> str | None:
    """What every float32 variant with packed weights needs."""
    if site.input(0).dtype.name != "float32":
        return "only float32"
    return few_axes(site) or ("the weights are computed" if site.constant(1) is None else None)


def _accepts_depthwise(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not (int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] and w.shape[1] == 1 and w.shape[0] > 1):
        return "not one input and one output channel a group"
    return accepts(site)


def pack_floats(w: np.ndarray, groups: int, block: int = 8) -> np.ndarray:
    """[M, C/g, *K] to [g][ceil(M/g / block)][taps][C/g][block], zeros beyond the last channel."""
    channels, taps, per_group = w.shape[1], prod(w.shape[2:]), w.shape[0] // groups
    blocks = -(-per_group // block)
    padded = np.zeros((groups, blocks * block, channels, taps), w.dtype)
    padded[:, :per_group] = w.reshape(groups, per_group, channels, taps)
    return np.ascontiguousarray(padded.reshape(groups, blocks, block, channels, taps).transpose(0, 1, 4, 3, 2))


def _codes(site: Site) -> Coded | None:
    """The codes that stand behind the weights, where kernels can store these."""
    found = site.input(1).coded
    return found if found is not None and found.along(0) else None


def _bind(site: Site) -> Bound:
    x, codes, y = site.input(0), _codes(site), site.output
    w = np.asarray(site.constant(1)) if codes is None else codes.codes
    groups = int(site.node.attr("group", 1))
    depth = prod(w.shape[1:])
    chunk = 0
    if groups != 1 or not is_pointwise(_window(site)):
        chunk = max(4, min(_GATHERED_BYTES // (4 * depth) // 4 * 4, 64, -(-y.size // w.shape[0] // 4) * 4))
    weights = float_weights(pack_floats(w, groups), codes, w.shape[0], groups)
    room = (chunk + (8 if codes else 0)) * depth
    args = (conv_f32_shape(site, chunk), x.read, *weights, bias_of(site, 2, w.shape[0]), y.write,
            Scratch(max(room, 1) * 4))  # fmt: skip
    return Bound(float_kernel("qir_conv_f32f32__portable", _GENERIC, codes), args)


def _bind_depthwise(site: Site) -> Bound:
    codes = _codes(site)
    w = np.asarray(site.constant(1)) if codes is None else codes.codes
    channels, taps = w.shape[0], prod(w.shape[2:])
    laid = np.ascontiguousarray(w.reshape(channels, taps).T)
    if codes is not None:
        filled = np.zeros((-(-channels // 16) * 16, taps), w.dtype)
        filled[:channels] = w.reshape(channels, taps)
        laid = np.ascontiguousarray(filled.reshape(-1, 8, taps).swapaxes(1, 2))
    args = (conv_f32_shape(site, 0), site.input(0).read, *float_weights(laid, codes, channels, block=16),
            bias_of(site, 2, channels), site.output.write, Scratch(16 * taps * 4 if codes else 0))  # fmt: skip
    return Bound(float_kernel("qir_conv_f32f32_depthwise__portable", _DEPTHWISE, codes, depthwise=True), args)


def _bind_computed(site: Site) -> Bound:
    x, w = site.input(0), site.input(1)
    kernel = typed_kernel(site, "qir_conv_computed_T__portable", _COMPUTED)
    args = (conv_f32_shape(site, 0), x.read, w.read, bias_of(site, 2, w.shape[0]), site.output.write)
    return Bound(kernel, args)


def _accepts_vectors(site: Site) -> str | None:
    bias = site.optional(2)
    if bias is not None and bias.value is None:
        return "the bias is computed"
    return accepts(site) or ("the weights are codes" if _codes(site) is not None else None)


def _panels(site: Site) -> Panels:
    x, w = site.input(0), site.input(1)
    groups = int(site.node.attr("group", 1))
    return panels(x.shape[0], _window(site), groups, w.shape[1], w.shape[0] // groups)


def product(site: Site, p: Panels, w: np.ndarray, bias: np.ndarray | None, isa: str) -> Bound:
    """Rows of input 0 times weights [M, C/g, *K], clamped to the site's bounds, on vectors."""
    width = VECTORS[isa].panel
    data = panel_weights(w, p.groups, width), panel_bias(bias, w.shape[0], p.groups, width)
    args = (p.struct(*site.bounds), p.offsets, site.input(0).read, *data, site.output.write, p.scratch)
    return Bound(vector_kernel("qir_conv_f32f32", _PANELS, isa), args)


def _bind_panels(site: Site, isa: str) -> Bound:
    p = _panels(site)
    return product(site, p, np.asarray(site.constant(1)), site.constant(2), isa)


def _bind_depthwise_vectors(site: Site, isa: str) -> Bound:
    w, width = np.asarray(site.constant(1)), VECTORS[isa].width
    laid = panel_weights(w.reshape(w.shape[0], -1), 1, -(-w.shape[0] // width) * width)
    bias = panel_bias(site.constant(2), w.shape[0], 1, width)
    args = (_panels(site).struct(*site.bounds), site.input(0).read, laid, bias, site.output.write)
    return Bound(vector_kernel("qir_conv_f32f32_depthwise", _DEPTHWISE_VECTORS, isa), args)


def _on_vectors(isa: str) -> tuple[Variant, Variant]:
    """Of depthwise and of any convolution."""
    width = VECTORS[isa].width

    def depthwise_work(site: Site) -> float:
        p = _panels(site)
        return p.work(1) / p.groups * (-(-p.groups // width) * width)

    return (
        Variant(isa, _DEPTHWISE_VECTORS, lambda site: _accepts_vectors(site) or _accepts_depthwise(site),
                partial(_bind_depthwise_vectors, isa=isa), f"conv_f32_depthwise__{isa}", depthwise_work, clamps=True),
        Variant(isa, _PANELS, _accepts_vectors, partial(_bind_panels, isa=isa), f"conv_f32__{isa}",
                lambda site: _panels(site).work(width), clamps=True),
    )  # fmt: skip


FAMILY = Family(
    "conv_f32",
    ("Conv",),
    CHANNELS_LAST,
    (
        Variant("portable", _DEPTHWISE, _accepts_depthwise, _bind_depthwise),
        Variant("portable", _GENERIC, accepts, _bind),
        Variant("portable", _COMPUTED, few_axes, _bind_computed),
        *(variant for isa in VECTORS for variant in _on_vectors(isa)),
    ),
    takes=takes_floats,
)
