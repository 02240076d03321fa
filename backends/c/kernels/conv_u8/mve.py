"""Convolutions on Helium, the vectors of Cortex-M55: what conv_u8__mve.c wants."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, refuse_narrow
from qir.backends.c.program import Data, Kernel, Scratch
from qir.backends.c.requant import added, flushed, output_types, per_channel, summed, vector_types, weight_sums
from qir.backends.c.site import Site
from qir.backends.c.weights import bias_data, few_alone

MVE_SOURCE = Path(__file__).parent / "conv_u8__mve.c"


def mve_refuses(site: Site) -> str | None:
    """What no kernel on Helium takes."""
    return "its weights are packed" if few_alone(site) else flushed(site, np.asarray(site.constant(3)))


def mve_data(site: Site, rows: np.ndarray) -> tuple[Data, ...]:
    """Weights [channel, code], bias and multipliers, for activations less 128."""
    bias = np.asarray(site.constant(2)).astype(np.int64) + 128 * weight_sums(rows)
    scale = Data(per_channel(site.constant(3), rows.shape[0]), "multipliers")
    return Data(np.ascontiguousarray(rows), "weights"), bias_data(bias, wide=False), scale


def mve_kernel(site: Site) -> Kernel:
    """The kernel for a site's result."""
    name, types = output_types(site, "qir_conv_u8s8_T__mve")
    by_fours = site.output.short == "u8" and site.added is None
    types = (*types, *summed(site), *vector_types(site, "mve", "store4"), ("QIR_BY_FOURS", str(int(by_fours))))
    name = name.replace("__", f"{'_sum' * (site.added is not None)}__")
    return Kernel(
        "qir_conv_u8s8_T__mve", MVE_SOURCE, name.replace("__", f"{'_sum' * (site.added is not None)}__"), types
    )


def _accepts(site: Site) -> str | None:
    return accepts(site) or refuse_narrow(site) or mve_refuses(site)


def _bind(site: Site) -> Bound:
    w = np.moveaxis(np.asarray(site.constant(1)), 1, -1).reshape(site.input(1).shape[0], -1)
    args = (conv_shape(site), site.input(0).read, *mve_data(site, w), *added(site),
            Scratch(w.shape[1]), site.output.write)  # fmt: skip
    return Bound(mve_kernel(site), args)


def mve_work(outputs: int, depth: int) -> float:
    """Multiply-accumulates of whole vectors; a result counts as sixty-four."""
    return outputs * (64.0 - -depth // 16 * 16)


def _work(site: Site) -> float:
    return mve_work(site.output.size, prod(site.input(1).shape[1:]))


ON_MVE = Variant("mve", MVE_SOURCE, _accepts, _bind, work=_work, sums=True)
