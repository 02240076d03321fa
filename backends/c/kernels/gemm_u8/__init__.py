"""qir.IntGemm: rows of uint8 codes times int8 weights; codes or reals out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.orders import ROWS
from qir.backends.c.program import Data, Kernel, Scratch, Struct
from qir.backends.c.requant import constants_missing, output_types, overflow, per_channel, requant
from qir.backends.c.site import Site

_SOURCE = Path(__file__).parent / "gemm_u8__portable.c"
_FUNCTION = "qir_gemm_u8s8_T__portable"


def _weights(site: Site) -> np.ndarray:
    """[K, N] as [N, K], with K in the order in which x is stored."""
    w, rows = np.asarray(site.constant(1), np.int8), site.input(0).rows
    return np.ascontiguousarray((w if rows is None else w[rows]).T)


def accepts(site: Site) -> str | None:
    """What every variant needs: constant weights, accumulators inside int32."""
    return constants_missing(site) or overflow(np.asarray(site.constant(2)), _weights(site))


def gemm_shape(site: Site) -> Struct:
    """The qir_gemm_u8_shape of a site."""
    depth, columns = site.input(1).shape
    sizes = (("rows", site.output.size // columns), ("depth", depth), ("columns", columns))
    return Struct("qir_gemm_u8_shape", (*sizes, ("requant", requant(site.node))))


def _bind(site: Site) -> Bound:
    w = _weights(site)
    data = (Data(w, "weights"), Data(np.asarray(site.constant(2), np.int32), "bias"),
            Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))  # fmt: skip
    kernel = Kernel(_FUNCTION, _SOURCE, *output_types(site, _FUNCTION))
    return Bound(kernel, (gemm_shape(site), site.input(0).read, *data, Scratch(4 * w.shape[1]), site.output.write))


FAMILY = Family("gemm_u8", ("qir.IntGemm",), ROWS, (Variant("portable", _SOURCE, accepts, _bind),), permuted_rows=True)
