"""ScatterElements, with every reduction."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.expressions import chosen
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.binary import EXPRESSIONS
from qir.backends.c.kernels.gather_elements import elements_shape, refused
from qir.backends.c.program import Kernel, Scalar

_SOURCE = Path(__file__).parent / "scatter_elements__portable.c"
_REDUCTIONS = {"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}


def reduction(site: Site) -> tuple[str, str | None]:
    """Name and expression of how an update meets what is there: of va (there) and vb; None where it is not defined."""
    mode = site.node.attr("reduction", "none")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    if mode == "none":
        return "set", "vb"
    return mode, chosen(EXPRESSIONS[_REDUCTIONS[mode]], site.input(0).dtype)


def _takes(site: Site) -> str | None:
    name, text = reduction(site)
    return refused(site) or (None if text else f"{name} is not defined for {site.input(0).dtype}")


def _bind(site: Site) -> Bound:
    x, indices, updates, y = site.input(0), site.input(1), site.input(2), site.output
    name, text = reduction(site)
    kernel = Kernel("qir_scatter_elements_IT__portable", _SOURCE,
                    f"qir_scatter_elements_{name}_{indices.short}_{x.short}__portable",
                    (("QIR_EXPRESSION", text or ""), ("QIR_I", indices.ctype), ("QIR_Y", x.ctype)))  # fmt: skip
    shape = elements_shape(x, indices, int(site.node.attr("axis", 0)))
    return Bound(kernel, (shape, Scalar(y.nbytes, "size_t"), x.read, indices.read, updates.read, y.write))


FAMILY = Family("scatter_elements", ("ScatterElements",), PLAIN,
                (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)  # fmt: skip
