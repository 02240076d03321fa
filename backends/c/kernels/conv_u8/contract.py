"""What every kernel of the family needs of a site: its weights, its window, its shape, that nothing overflows."""

from __future__ import annotations

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes
from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.requant import constants_missing, requant, restored_bias
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import refuse
from qir.backends.c.program import Field, Struct
from qir.ops.window import Window, window


def conv_parts(site: Site) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights [M, C/g, *K], bias without its zero-point term, zero point."""
    zero = int(site.node.attr("x_zero_point", 0))
    w = np.asarray(site.constant(1))
    return w, restored_bias(np.asarray(site.constant(2)), w, zero), zero


def conv_window(site: Site) -> Window:
    """The window of a site."""
    return window(site.node, site.input(0).shape[2:], site.input(1).shape[2:])


def pixel_window(count: int) -> Field:
    """The qir_window of pixels that are windows, one after the other."""
    one, row = (1, 1, 1), (1, 1, count)
    return (1, row, row, one, one, one, (0, 0, 0))


def conv_shape(site: Site, win: Field | None = None) -> Struct:
    """The qir_conv_u8_shape of a site; `win` where the kernel sees other axes than the site has."""
    x, w, node = site.input(0), site.input(1), site.node
    groups = int(node.attr("group", 1))
    return Struct("qir_conv_u8_shape", (
        ("window", win or window_fields(x.shape[0], conv_window(site))), ("groups", groups),
        ("in_channels", w.shape[1]), ("out_channels", w.shape[0] // groups),
        ("x_zero_point", int(node.attr("x_zero_point", 0))), ("requant", requant(site.added or node)),
    ))  # fmt: skip


def accepts(site: Site) -> str | None:
    """What variants on vectors need: codes and weights of bytes at most, besides what every variant needs."""
    return only_bytes(site) or accepts_any(site)


def refuse_narrow(site: Site) -> str | None:
    """The reason to refuse groups of too few channels for kernels that take four at once."""
    w, groups = site.input(1), int(site.node.attr("group", 1))
    narrow = groups > 1 and min(w.shape[1], w.shape[0] // groups) < 4
    return "its groups have fewer than four channels" if narrow else None


def accepts_any(site: Site) -> str | None:
    """What every variant needs: constant weights, 1 to 3 spatial axes, accumulators that hold every sum."""
    if (reason := constants_missing(site)) is not None:
        return reason
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    w, bias, _ = conv_parts(site)
    return refuse(site, w, bias)
