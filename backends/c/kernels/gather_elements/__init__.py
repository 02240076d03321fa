"""GatherElements."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.indices import nothing_to_read, wrong_index_type
from qir.backends.c.binding.loops import MAX_LOOPS, led
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct

_SOURCE = Path(__file__).parent / "gather_elements__portable.c"


def elements_shape(x: Operand, indices: Operand, axis: int) -> Struct:
    """The qir_elements_shape of indices into x along an axis, all in plain order."""
    axis %= x.rank
    loops = [(size, 0 if a == axis else x.strides[a]) for a, size in enumerate(indices.shape)]
    return Struct("qir_elements_shape", (
        ("size", led(loops, 0, 1)), ("stride", led(loops, 1, 0)), ("axis_size", x.shape[axis]),
        ("step", x.strides[axis]),
    ))  # fmt: skip


def refused(site: Site) -> str | None:
    """Why indices of this type or rank cannot be used."""
    if site.input(0).rank > MAX_LOOPS:
        return f"{site.input(0).rank} axes, at most {MAX_LOOPS} are supported"
    return "a scalar has no axis" if site.input(0).rank == 0 else wrong_index_type(site.input(1))


def _takes(site: Site) -> str | None:
    return refused(site) or nothing_to_read(site.input(0), site.output)


def _bind(site: Site) -> Bound:
    x, indices = site.input(0), site.input(1)
    kernel = Kernel("qir_gather_elements_IT__portable", _SOURCE,
                    f"qir_gather_elements_{indices.short}_{x.short}__portable",
                    (("QIR_I", indices.ctype), ("QIR_T", x.ctype)))  # fmt: skip
    shape = elements_shape(x, indices, int(site.node.attr("axis", 0)))
    return Bound(kernel, (shape, x.read, indices.read, site.output.write))


FAMILY = Family("gather_elements", ("GatherElements",), PLAIN,
                (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)  # fmt: skip
