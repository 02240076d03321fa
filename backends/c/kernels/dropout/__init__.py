"""Dropout at inference."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Kernel, Scalar
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_MASKED, _PLAIN = _HERE / "dropout__portable.c", _HERE / "copied__portable.c"


def _takes(site: Site) -> str | None:
    if site.optional(2) is None:
        return None
    training, ratio = site.constant(2), site.constant(1)
    if training is not None and not training.any():
        return None
    if ratio is not None and not ratio.any():
        return None
    return "it is in training mode, or its mode is computed"


def _bind(site: Site) -> Bound:
    x, y = site.input(0), site.output
    sizes = (Scalar(y.nbytes, "size_t"), Scalar(y.size, "size_t"))
    mask = site.outputs[1] if len(site.outputs) > 1 else None
    if mask is None:
        return Bound(Kernel("qir_dropout_unmasked__portable", _PLAIN), (sizes[0], x.read, y.write))
    return Bound(Kernel("qir_dropout__portable", _MASKED), (*sizes, x.read, y.write, mask.write))


FAMILY = Family("dropout", ("Dropout",), same_order, (Variant("portable", _MASKED, lambda site: None, _bind),),
                takes=_takes, in_place=(0,), pointwise=True)  # fmt: skip
