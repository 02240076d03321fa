"""MaxPool with indices, and MaxUnpool."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.binding.float_types import typed_kernel
from qir.backends.c.binding.loops import three, window_fields
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Scalar, Struct
from qir.ops.window import window

_HERE = Path(__file__).parent
_POOL, _UNPOOL = _HERE / "maxpool_indices__portable.c", _HERE / "maxunpool__portable.c"
_NAMES = ("batch", "in", "out", "kernel", "stride", "dilation", "pad")


def _takes_pool(site: Site) -> str | None:
    return None if len(site.outputs) > 1 and site.outputs[1] is not None and site.outputs[0] else "gives values alone"


def _accepts(site: Site) -> str | None:
    spatial = site.input(0).rank - 2
    return None if 1 <= spatial <= 3 else f"{spatial} spatial axes, 1 to 3 are supported"


def _bind_pool(site: Site) -> Bound:
    x, node, indices = site.input(0), site.node, site.outputs[1]
    if indices is None:
        raise ValueError(f"{node.name} gives no indices")
    fields = window_fields(x.shape[0] * x.shape[1], window(node, x.shape[2:], node.attr("kernel_shape")))
    depth, height, width = three(x.shape[2:], 1)
    steps = (1, depth, depth * height) if node.attr("storage_order", 0) else (height * width, width, 1)
    shape = Struct("qir_window", tuple(zip(_NAMES, fields, strict=True)))  # type: ignore[arg-type]  # a tuple of seven
    args = (shape, *(Scalar(step) for step in steps), x.read, site.output.write, indices.write)
    return Bound(typed_kernel(site, "qir_maxpool_indices_T__portable", _POOL), args)


def _unpooled(site: Site) -> tuple[int, ...]:
    """Spatial sizes that a pool with these attributes shrank to the input's."""
    x, node = site.input(0), site.node
    kernel = node.attr("kernel_shape")
    rank = len(kernel)
    strides, pads = node.attr("strides") or (1,) * rank, node.attr("pads") or (0,) * (2 * rank)
    return tuple((x.shape[2 + i] - 1) * strides[i] + kernel[i] - pads[i] - pads[rank + i] for i in range(rank))


def _bind_unpool(site: Site) -> Bound:
    x, y = site.input(0), site.output
    shape = Struct("qir_maxunpool_shape", (
        ("planes", prod(y.shape[:2])), ("from", three(_unpooled(site), 1)), ("to", three(y.shape[2:], 1)),
    ))  # fmt: skip
    kernel = typed_kernel(site, "qir_maxunpool_T__portable", _UNPOOL)
    return Bound(kernel, (shape, Scalar(x.size), x.read, site.input(1).read, y.write))


FAMILIES = (
    Family("maxpool_indices", ("MaxPool",), PLAIN, (Variant("portable", _POOL, _accepts, _bind_pool),),
           takes=_takes_pool),
    Family("maxunpool", ("MaxUnpool",), PLAIN, (Variant("portable", _UNPOOL, _accepts, _bind_unpool),)),
)  # fmt: skip
