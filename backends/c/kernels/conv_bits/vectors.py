"""What conv_bits__vectors.c is on each instruction set, and weights as its panels want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_bits.layer import Layer, accepts, conv_shape, finish, layer_of, pairs
from qir.backends.c.program import Data, Kernel, Scratch
from qir.backends.c.requant import flushed
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_SOURCE = _HERE / "conv_bits__vectors.c"
_ROWS = 4
"""Pixels that are counted together."""
_GROUP = 64
"""Channels that sums are filled up to (qir_bits_pitch)."""


@dataclass(frozen=True)
class Vectors:
    """One instruction set.

    Attributes:
        tag: inside the names of its header and functions.
        target: attribute of its functions.
        panel, step: channels that are counted together, and bytes of each that a step takes.
        group: channels of which results are made together.
        requant: qir_widen_... gives it.
    """

    tag: str
    target: str
    panel: int
    step: int
    group: int
    requant: str

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Identifiers of the template to C text, for all layers."""
        name = f"qir_bits_{self.tag}"
        return (
            ("QIR_TARGET", self.target), ("QIR_PANEL", str(self.panel)), ("QIR_STEP", str(self.step)),
            ("QIR_GROUP", str(self.group)), ("QIR_ARRANGED", f"{name}_arranged"), ("QIR_REQUANT", self.requant),
            ("QIR_WIDEN_REQUANT", self.requant.replace("qir_", "qir_widen_")), ("QIR_REACHED", f"{name}_reached"),
            ("QIR_NUMBERS", f"{name}_numbers"),
        )  # fmt: skip


VECTORS: Mapping[str, Vectors] = MappingProxyType({
    "avx512vpopcntdq": Vectors("avx512", "QIR_AVX512VPOPCNTDQ", 16, 4, 64, "qir_requant16"),
    "avx2": Vectors("avx2", "QIR_AVX2", 32, 1, 32, "qir_requant8"),
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
    room = -data.array.shape[-1] % _GROUP
    widths = [(0, 0)] * (data.array.ndim - 1) + [(0, room)]
    return Data(np.pad(data.array, widths, constant_values=fill), data.role)


def _accepts(site: Site, isa: str) -> str | None:
    reason = accepts(site)
    if reason is not None or isa != "neon":
        return reason
    return flushed(site, np.asarray(site.constant(3)))


def _bind(site: Site, isa: str) -> Bound:
    vectors, layer = VECTORS[isa], layer_of(site)
    how, types, last = finish(site)
    name, join = f"qir_bits_{vectors.tag}", "xor" if layer.binary else "and"
    own = (
        ("QIR_COUNT_ONE", f"{name}_{join}1"), ("QIR_COUNT_FOUR", f"{name}_{join}4"),
        ("QIR_ROW", f"{name}_row_{site.output.short}"), ("QIR_FINISH", f"qir_conv_bits_T_{how}"),
    )  # fmt: skip
    emitted = f"qir_conv_bits_{join}_{how}_{site.output.short}__{isa}"
    kernel = Kernel("qir_conv_bits_T__vectors", _SOURCE, emitted, (*vectors.words, *types, *own),
                    (_HERE / f"conv_bits_{vectors.tag}.h",))  # fmt: skip
    pitch = -(-layer.outputs // _GROUP) * _GROUP
    scratch = Scratch(_ROWS * (8 * 3 * layer.planes * layer.words + 4 * pitch))
    never = np.iinfo(np.int32).max if last.array.dtype == np.int32 else 0
    args = (conv_shape(site, layer), site.input(0).read,
            Data(panels(layer, vectors.panel, vectors.step), "weights, in planes"),
            _filled(Data(layer.bias, "bias"), 0), Data(layer.outside, "sums of single taps"), _filled(last, never),
            scratch)  # fmt: skip
    return Bound(kernel, (*args, site.output.write))


VARIANTS = tuple(
    Variant(isa, _SOURCE, partial(_accepts, isa=isa), partial(_bind, isa=isa), f"conv_bits__{isa}",
            partial(pairs, panel=vectors.panel))
    for isa, vectors in VECTORS.items()
)  # fmt: skip
