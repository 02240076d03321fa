"""What conv_bits__vectors.c is on each instruction set, and weights as its panels want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from qir.backends.c.binding.requant import flushed
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_bits.layer import Layer, accepts, conv_shape, finish, layer_of, pairs, window_bits
from qir.backends.c.program import Data, Kernel, Scratch

_HERE = Path(__file__).parent
_SOURCE = _HERE / "conv_bits__vectors.c"
_ROWS = 4
"""Pixels that are counted together."""
GROUP = 64
"""Channels that sums are filled up to (qir_bits_pitch)."""

MOST = 32767
"""Ones that lanes of 16 bits count."""


@dataclass(frozen=True)
class Vectors:
    """One instruction set.

    Attributes:
        tag: inside the names of its header and functions.
        target: attribute of its functions.
        panel, step: channels that are counted together, and bytes of each that a step takes.
    """

    tag: str
    target: str
    panel: int
    step: int


VECTORS: Mapping[str, Vectors] = MappingProxyType({
    "avx512vpopcntdq": Vectors("avx512", "QIR_AVX512VPOPCNTDQ", 16, 4),
    "neon": Vectors("neon", "", 32, 2),
    "avx2": Vectors("avx2", "QIR_AVX2", 32, 1),
})  # fmt: skip


def panels(layer: Layer, panel: int, step: int) -> np.ndarray:
    """uint8 [panels, planes, steps, panel, step]: channels filled up to whole panels, bytes of a window to steps."""
    bits = layer.bits.reshape(*layer.bits.shape[:2], -1)
    outputs, planes, depth = bits.shape
    steps = -(-depth // (8 * step))
    filled = np.zeros((-(-outputs // panel) * panel, planes, 8 * step * steps), bool)
    filled[:outputs, :, :depth] = bits
    packed = np.packbits(filled, axis=-1, bitorder="little").reshape(-1, panel, planes, steps, step)
    return np.ascontiguousarray(packed.transpose(0, 2, 3, 1, 4))


def _filled(data: Data, fill: int) -> Data:
    """[..., M] filled up to whole groups."""
    room = -data.array.shape[-1] % GROUP
    widths = [(0, 0)] * (data.array.ndim - 1) + [(0, room)]
    return Data(np.pad(data.array, widths, constant_values=fill), data.role)


def _accepts(site: Site, isa: str) -> str | None:
    if (reason := accepts(site)) is not None:
        return reason
    if window_bits(site) > MOST:
        return f"windows of more than {MOST} bits"
    return flushed(site, np.asarray(site.constant(3), np.float32)) if isa == "neon" else None


def _bind(site: Site, isa: str) -> Bound:
    vectors, layer = VECTORS[isa], layer_of(site)
    how, types, bias, last = finish(site, layer)
    name, join = f"qir_bits_{vectors.tag}", "xor" if layer.binary else "and"
    result = f"codes_{site.output.short}" if how == "codes" else how
    words = (
        ("QIR_TARGET", vectors.target), ("QIR_PANEL", str(vectors.panel)), ("QIR_STEP", str(vectors.step)),
        ("QIR_ARRANGED", f"{name}_arranged"), ("QIR_COUNT_ONE", f"{name}_{join}1"),
        ("QIR_COUNT_FOUR", f"{name}_{join}4"), ("QIR_FINISH", f"{name}_{result}"),
    )  # fmt: skip
    kernel = Kernel("qir_conv_bits_T__vectors", _SOURCE, f"qir_conv_bits_{join}_{result}__{isa}", (*types, *words),
                    (_HERE / f"conv_bits_{vectors.tag}.h",))  # fmt: skip
    pitch = -(-layer.outputs // GROUP) * GROUP
    scratch = Scratch(_ROWS * (8 * 3 * layer.planes * layer.words + 4 * pitch) + 4 * pitch * (not bias))
    never = np.iinfo(np.int32).max if last.array.dtype == np.int32 else 0
    args = (conv_shape(site, layer), site.input(0).read,
            Data(panels(layer, vectors.panel, vectors.step), "weights, in planes"),
            *(_filled(data, 0) for data in bias), Data(layer.outside, "sums of single taps"), _filled(last, never),
            scratch)  # fmt: skip
    return Bound(kernel, (*args, site.output.write))


VARIANTS = tuple(
    Variant(isa, _SOURCE, partial(_accepts, isa=isa), partial(_bind, isa=isa), f"conv_bits__{isa}",
            partial(pairs, panel=vectors.panel))
    for isa, vectors in VECTORS.items()
)  # fmt: skip
