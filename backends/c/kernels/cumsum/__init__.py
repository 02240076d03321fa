"""CumSum and CumProd of floats and of integers of 32 and 64 bits."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.orders import FOLLOW, Orders
from qir.backends.c.binding.site import Site, plain
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.softmax import around
from qir.backends.c.program import Kernel, Scalar

_SOURCE = Path(__file__).parent / "cumsum__portable.c"
_TYPES = ("float32", "float64", "int32", "int64", "uint32", "uint64")

_STEPS = {
    "CumSum": (("QIR_START", "0"), ("QIR_STEP", "+=")),
    "CumProd": (("QIR_START", "1"), ("QIR_STEP", "*=")),
}


def _takes(site: Site) -> str | None:
    if site.constant(1) is None:
        return "the axis must be a constant"
    return None if site.input(0).dtype.name in _TYPES else f"only {', '.join(_TYPES)} are computed"


def _layout(site: Site) -> Orders:
    found = FOLLOW(site)
    return Orders((found.inputs[0], plain(site.input(1).rank)), found.outputs)


def _accepts(site: Site) -> str | None:
    return None if site.input(0).rank else "there is no axis"


def _bind(site: Site) -> Bound:
    x, axis = site.input(0), site.constant(1)
    if axis is None:
        raise ValueError("the axis is not a constant")
    kind = x.ctype if x.dtype.is_float else f"uint{x.dtype.bits}_t"
    kernel = Kernel("qir_cumsum_T__portable", _SOURCE, f"qir_{site.node.op.lower()}_{x.short}__portable",
                    (("QIR_T", x.ctype), ("QIR_ACC", kind), *_STEPS[site.node.op]))  # fmt: skip
    flags = (int(site.node.attr("exclusive", 0)), int(site.node.attr("reverse", 0)))
    numbers = (*around(x, int(axis.reshape(-1)[0])), *flags)
    return Bound(kernel, (*(Scalar(n) for n in numbers), x.read, site.output.write))


FAMILY = Family(
    "cumsum",
    ("CumSum", "CumProd"),
    _layout,
    (Variant("portable", _SOURCE, _accepts, _bind),),
    takes=_takes,
    in_place=(0,),
)
