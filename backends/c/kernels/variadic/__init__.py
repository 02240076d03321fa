"""Max, Min, Sum and Mean of any number of operands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.expressions import chosen
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.binary import EXPRESSIONS
from qir.backends.c.program import Data, Kernel, Struct

_SOURCE = Path(__file__).parent / "variadic__portable.c"


def _text(site: Site) -> str | None:
    op = "Sum" if site.node.op == "Mean" else site.node.op
    return chosen(EXPRESSIONS[op], site.output.dtype)


def _takes(site: Site) -> str | None:
    return None if _text(site) else f"it is not defined for {site.output.dtype}"


def _loops(site: Site) -> list[tuple[int, ...]]:
    y = site.output
    return merged_loops(y.stored_shape, *(x.broadcast_strides(y) for x in site.inputs if x))


def _bind(site: Site) -> Bound:
    y, loops, text, count = site.output, _loops(site), _text(site), len(site.inputs)
    assert text is not None, "refused by takes"
    names = [f"x{slot}" for slot in range(count)]
    kernel = Kernel("qir_variadic_T__portable", _SOURCE, f"qir_{site.node.op.lower()}_{y.short}_{count}__portable", (
        ("QIR_EXPRESSION", text), ("QIR_FINISH", f"va / {count}" if site.node.op == "Mean" else "va"),
        ("QIR_PARAMETERS", ", ".join(f"const {y.ctype} *{name}" for name in names)),
        ("QIR_LIST", ", ".join(names)), ("QIR_COUNT", str(count)), ("QIR_T", y.ctype),
    ))  # fmt: skip
    strides = np.array([led(loops, slot + 1, 0) for slot in range(count)], np.int32)
    shape = Struct("qir_variadic_shape", (("size", led(loops, 0, 1)),))
    return Bound(kernel, (shape, Data(strides, "strides"), y.write, *(x.read for x in site.inputs if x)))


def _accepts(site: Site) -> str | None:
    return too_many_loops(_loops(site))


FAMILY = Family(
    "variadic", ("Max", "Min", "Sum", "Mean"), FOLLOW, (Variant("portable", _SOURCE, _accepts, _bind),), takes=_takes
)
