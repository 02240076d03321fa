"""Kernel templates for float32 and float64."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.site import Site
from qir.backends.c.program import Kernel

_FUNCTIONS = ("exp", "log", "sqrt", "pow", "fabs", "tanh", "sin", "cos", "floor", "ceil", "rint", "log1p")


def takes_floats(site: Site) -> str | None:
    """The reason to refuse a node whose first input is neither float32 nor float64."""
    return None if site.input(0).dtype.name in ("float32", "float64") else "only float32 and float64 are computed"


def float_kernel(site: Site, function: str, source: Path, *, slot: int = 0) -> Kernel:
    """A template `..._T__portable` for the element type of an input.

    QIR_T is the type; QIR_EXP, QIR_SQRT, ... are math.h's functions in that type.
    """
    x = site.input(slot)
    single = x.dtype.name == "float32"
    names = tuple((f"QIR_{name.upper()}", f"{name}f" if single else name) for name in _FUNCTIONS)
    return Kernel(function, source, function.replace("_T__", f"_{x.short}__"), (("QIR_T", x.ctype), *names))


def typed_kernel(site: Site, function: str, source: Path, *, slot: int = 0) -> Kernel:
    """A template `..._T__portable` for the element type of an input, QIR_T alone."""
    x = site.input(slot)
    return Kernel(function, source, function.replace("_T__", f"_{x.short}__"), (("QIR_T", x.ctype),))
