"""OneHot with a constant depth."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.binding.expressions import converted
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar
from qir.ir.dtype import INT64

_SOURCE = Path(__file__).parent / "one_hot__portable.c"


def _takes(site: Site) -> str | None:
    kind = site.input(0).dtype
    return None if kind.is_integer or kind.is_float else f"indices are {kind}"


def _bind(site: Site) -> Bound:
    indices, values, y = site.input(0), site.input(2), site.output
    axis = int(site.node.attr("axis", -1)) % y.rank
    kernel = Kernel("qir_one_hot_IT__portable", _SOURCE, f"qir_one_hot_{indices.short}_{y.short}__portable", (
        ("QIR_WHOLE", converted("v", indices.dtype, INT64)), ("QIR_I", indices.ctype), ("QIR_T", y.ctype),
    ))  # fmt: skip
    return Bound(kernel, (
        Scalar(prod(y.shape[:axis]), "size_t"), Scalar(y.shape[axis]), Scalar(prod(y.shape[axis + 1 :]), "size_t"),
        indices.read, values.read, y.write,
    ))  # fmt: skip


FAMILY = Family("one_hot", ("OneHot",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)
