"""What a command works on: the lifted model, the recipe, the target and the samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qir.calibration import Feeds, Preprocess, feeds
from qir.cli import values
from qir.debug.samples import sample_inputs
from qir.errors import ShapeError
from qir.ir.graph import Graph
from qir.onnxio.lift import lift
from qir.onnxio.source import open_source
from qir.onnxio.store import load_graph
from qir.recipe import Recipe
from qir.recipe import recipe as find_recipe
from qir.target import Target
from qir.target import target as find_target

_SAVED = "qir.graph"
"""The metadata entry by which `save_graph` marks its files."""


@dataclass(frozen=True)
class Loaded:
    """Everything a command was given, read and checked.

    Attributes:
        graph: the model, or a graph that qir had saved.
        feeds: calibration samples, if given; pixels where `preprocess` is.
        preprocess: the normalisation that becomes part of the model.
    """

    graph: Graph
    recipe: Recipe
    target: Target
    feeds: Feeds | None
    seed: int
    preprocess: Preprocess | None = None

    def samples(self) -> dict[str, Any]:
        """Inputs to try the network on: the first calibration samples, or random numbers."""
        batch = 1 if self.target.backend == "c" else None  # C runs one sample where the model leaves that open
        return sample_inputs(self.graph, self.feeds, self.seed, batch)

    def normalised(self, samples: dict[str, Any]) -> dict[str, Any]:
        """Samples of the compiled model as the original one takes them."""
        if self.preprocess is None:
            return samples
        shape = (1, -1, 1, 1) if self.preprocess.layout == "NCHW" else (1, 1, 1, -1)
        mean = np.array(self.preprocess.mean, np.float32).reshape(shape)
        std = np.array(self.preprocess.std, np.float32).reshape(shape)
        return {name: (array - mean) / std for name, array in samples.items()}


def read(model: str, shape: Iterable[str], bind: Iterable[str]) -> Graph:
    """The graph of a model file, or one that qir saved.

    Raises:
        QirError: as `lift` does; ShapeError where a saved graph shall be bound.
    """
    sizes, bound = values.shapes(shape), values.bindings(bind)
    with open_source(model) as source:
        is_saved = any(item.key == _SAVED for item in source.proto.metadata_props)
    if not is_saved:
        return lift(model, shapes=sizes, bind=bound)
    if sizes or bound:
        raise ShapeError("a saved graph is already bound", fix="Give --shape and --bind with the ONNX model")
    return load_graph(model)


def load(
    model: str, shape: Iterable[str], bind: Iterable[str], calib: str | None, preprocess: str | None, target: str,
    recipe: str, override: Iterable[str], seed: int,
) -> Loaded:  # fmt: skip
    """Reads and checks what was given.

    Raises:
        QirError: one of its children for whatever does not fit.
    """
    where = find_target(target)
    numbers = values.overrides(find_recipe(recipe), override)
    normal = values.preprocess(preprocess)
    graph = read(model, shape, bind)
    kinds = {name: graph.types[name] for name in graph.inputs}
    samples = None
    if calib is not None:
        pixels = replace(normal, mean=(0.0,), std=(1.0,)) if normal is not None and Path(calib).is_dir() else None
        samples = feeds(calib, kinds, preprocess=pixels)
    return Loaded(graph, numbers, where, samples, seed, normal)
