"""Dropout at inference."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Kernel, Scalar

_HERE = Path(__file__).parent
_MASKED, _PLAIN = _HERE / "dropout__portable.c", _HERE / "copied__portable.c"


def _takes(site: Site) -> str | None:
    if site.outputs[0] is None:
        return "its result is left out"
    if site.optional(2) is None:
        return None
    training, ratio = site.constant(2), site.constant(1)
    if training is not None and not training.any():
        return None
    if ratio is not None and not ratio.any():
        return None
    return "it is in training mode, or its mode is computed"


def _mask(site: Site) -> Operand | None:
    return site.outputs[1] if len(site.outputs) > 1 else None


def _accepts_unmasked(site: Site) -> str | None:
    return "its mask is wanted" if _mask(site) else None


def _bind_unmasked(site: Site) -> Bound:
    x, y = site.input(0), site.output
    return Bound(Kernel("qir_dropout_unmasked__portable", _PLAIN), (Scalar(y.nbytes, "size_t"), x.read, y.write))


def _bind_masked(site: Site) -> Bound:
    x, y, mask = site.input(0), site.output, _mask(site)
    assert mask is not None, "the other variant takes it"
    args = (Scalar(y.nbytes, "size_t"), Scalar(y.size, "size_t"), x.read, y.write, mask.write)
    return Bound(Kernel("qir_dropout__portable", _MASKED), args)


FAMILY = Family("dropout", ("Dropout",), same_order, (
    Variant("portable", _PLAIN, _accepts_unmasked, _bind_unmasked),
    Variant("portable", _MASKED, lambda site: None, _bind_masked),
), takes=_takes, in_place=(0,), pointwise=True)  # fmt: skip
