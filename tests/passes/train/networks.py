"""Small networks to train, and what was made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import qir.backends
import qir.passes  # noqa: F401  (names the passes)
from qir.calibration import feeds
from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.pipeline import QUANTIZE
from qir.recipe import Recipe, recipe
from qir.target import target
from tests.passes.graphs import net, normal


def convolutions(batch: int | str = "N") -> Graph:
    """x [N, 2, 8, 8] -> Conv, Relu, Conv, Add, Relu, MaxPool, Conv, Relu, Flatten, Gemm -> y [N, 4]."""
    flat = "-1" if batch == "N" else batch
    text = f"""(float[{batch},2,8,8] x) => (float[{batch},4] y) {{
        a = Conv<pads=[1,1,1,1]>(x, w0, b0) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w1, b1) d = Add(b, c)
        e = Relu(d) f = MaxPool<kernel_shape=[2,2], strides=[2,2]>(e) g = Conv(f, w2, b2) h = Relu(g)
        i = Reshape(h, flat) y = Gemm<transB=1>(i, w3, b3) }}"""
    return net(text, w0=normal(8, 2, 3, 3) / 4, b0=normal(8, seed=1) / 8, w1=normal(8, 8, 3, 3, seed=2) / 8,
               b1=normal(8, seed=3) / 8, w2=normal(16, 8, 3, 3, seed=4) / 8, b2=normal(16, seed=5) / 8,
               w3=normal(4, 64, seed=6) / 8, b3=normal(4, seed=7) / 8, flat=np.array([int(flat), 64]))  # fmt: skip


def pictures(count: int = 96, seed: int = 9) -> np.ndarray:
    return normal(count, 2, 8, 8, seed=seed)


def context(graph: Graph, numbers: str | Recipe = "int8", where: str = "onnx", data: Any = None, **more: Any
            ) -> Context:  # fmt: skip
    """With samples, and the graph itself as the teacher."""
    made = recipe(numbers)
    samples = feeds(pictures() if data is None else data, {name: graph.types[name] for name in graph.inputs})
    given = Context(target(where), made, samples)
    return replace(given, **{"teacher": graph, **more})


def quantized(graph: Graph, given: Context) -> Graph:
    """The graph in stage QUANT as training gets it."""
    return run(graph, parse_pipeline(QUANTIZE.partition(",quantize-biases")[0]), given)
