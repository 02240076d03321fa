"""Graphs taken through the quantizing passes with data made on the spot."""

from __future__ import annotations

from typing import Any

import numpy as np

import qir.backends
import qir.passes  # noqa: F401  (names the passes)
from qir.calibration import feeds
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.types import Affine
from qir.passes.quantize.placement import Placement, place
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
from qir.target import target

ACTIVATIONS = "calibrate{method=minmax},quantize"
ALL = f"{ACTIVATIONS},quantize-weights,round-weights,quantize-biases,absorb-activations"
TARGETS = ("onnx", "portable")


def samples(graph: Graph, count: int = 16, seed: int = 5) -> dict[str, np.ndarray]:
    """Standard normal inputs (booleans half true, integers 0 .. 2), `count` along the first axis where that is open."""
    random, found = np.random.default_rng(seed), {}
    for name in graph.inputs:
        kind = graph.tensor(name)
        shape = [dim if isinstance(dim, int) else count for dim in kind.shape or ()]
        drawn = random.standard_normal(shape) if kind.dtype.is_float else random.integers(0, 3, shape)
        found[name] = drawn.astype(kind.dtype.numpy)
    return found


def context(graph: Graph, where: str = "portable", recipe: Recipe | None = None, data: Any = None) -> Context:
    """What passes look at; `data` replaces random samples."""
    given = samples(graph) if data is None else data
    return Context(target(where), recipe or Recipe(), feeds(given, {name: graph.types[name] for name in graph.inputs}))


def apply(passes: str, graph: Graph, where: str = "portable", recipe: Recipe | None = None, data: Any = None) -> Graph:
    """The graph after passes, each verified."""
    return run(graph, parse_pipeline(passes), context(graph, where, recipe, data))


def error(before: Graph, passes: str, recipe: Recipe | None = None) -> float:
    """Of the output y after passes, on the samples they were given, beside the power of the float one."""
    given = context(before, recipe=recipe)
    assert given.feeds is not None
    after = run(before, parse_pipeline(passes), given)
    sample = {"x": np.concatenate([batch["x"] for batch in given.feeds])}
    wanted = evaluate(before, sample)["y"]
    return float(np.square(evaluate(after, sample)["y"] - wanted).mean() / wanted.var())


def placed(graph: Graph, where: str = "portable", recipe: Recipe | None = None) -> Placement:
    """Where the nodes of a graph would run."""
    given = context(graph, where, recipe)
    return place(run(graph, parse_pipeline("calibrate{method=minmax}"), given), given)


def integers(graph: Graph, where: str = "portable", recipe: Recipe | None = None) -> list[str]:
    """Results of the nodes that would run on codes."""
    found = placed(graph, where, recipe)
    return [node.outputs[0] for node in graph.nodes if node in found]


def codes(graph: Graph) -> list[str]:
    """Computed values and inputs that are codes, in order."""
    names = [*graph.inputs, *(name for node in graph.nodes for name in node.outputs if name)]
    return [name for name in names if quant(graph, name) is not None]


def quant(graph: Graph, name: str) -> Affine | None:
    """The codes of a value."""
    return graph.tensor(name).quant
