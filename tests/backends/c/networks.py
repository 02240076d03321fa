"""Small whole networks in stage INT for the tests of the C backend."""

from __future__ import annotations

import numpy as np
from graphs import Builder

from qir.ir.graph import Graph

REQUANT = {"y_zero_point": 7, "qmin": 7, "qmax": 255}


def conv(
    b: Builder, rng: np.random.Generator, x: str, name: str, channels: int, kernel: int = 3, group: int = 1
) -> str:
    """A "same" convolution with random weights."""
    inputs = b.values[x].shape[1]
    w = rng.integers(-127, 128, (channels, inputs // group, kernel, kernel)).astype(np.int8)
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    scale = rng.uniform(1e-4, 4e-3, channels).astype(np.float32)
    names = [x, *(b.constant(f"{name}.{k}", v) for k, v in (("w", w), ("b", bias), ("m", scale)))]
    attrs = {"strides": (1, 1), "dilations": (1, 1), "pads": (kernel // 2,) * 4, "group": group, "x_zero_point": 7}
    return b.node("qir.IntConv", names, name, **attrs, **REQUANT)


def residual(seed: int = 0, size: int = 8) -> tuple[Graph, Builder, list[str]]:
    """Quantize, convolutions with a residual sum, pooling, flatten, gemm, dequantize: float in, float out."""
    rng = np.random.default_rng(seed)
    b = Builder()
    x = b.feed("input", rng.normal(0, 1, (1, 3, size, size)).astype(np.float32))
    q = b.node("qir.Quantize", [x], "q", scale=0.02, zero_point=7, qmin=0, qmax=255)
    first = conv(b, rng, q, "c1", 8)
    second = conv(b, rng, first, "c2", 8, group=8)
    third = conv(b, rng, second, "c3", 8, kernel=1)
    factors = {"a_multiplier": 0.6, "b_multiplier": 0.5, "offset": -1.0}
    total = b.node("qir.IntAdd", [first, third], "sum", **factors, qmin=7, qmax=255)
    attrs = {"kernel_shape": (2, 2), "strides": (2, 2), "dilations": (1, 1), "pads": (0,) * 4}
    pooled = b.node("qir.IntAveragePool", [total], "pool", x_zero_point=7, multiplier=1.0, **attrs, **REQUANT)
    flat = b.reshape(pooled, (1, b.values[pooled].size), "flat", "Flatten")
    table = b.constant("table", np.minimum(np.arange(256) + 3, 255).astype(np.uint8))
    looked = b.node("qir.Lookup", [flat, table], "looked")
    w = b.constant("g.w", rng.integers(-127, 128, (b.values[looked].size, 10)).astype(np.int8))
    bias = b.constant("g.b", rng.integers(-3000, 3000, 10).astype(np.int32))
    scale = b.constant("g.m", rng.uniform(1e-4, 4e-3, 10).astype(np.float32))
    logits = b.node("qir.IntGemm", [looked, w, bias, scale], "logits", **REQUANT)
    out = b.node("qir.Dequantize", [logits], "output", scale=0.1, zero_point=7)
    return b.graph([out]), b, [out]
