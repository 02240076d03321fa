"""The main door: `qir.compile`."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import qir.backends  # noqa: F401  (registers the targets)
from qir.backends.c import compile_c
from qir.backends.c.module import CModule
from qir.backends.onnx.fusion import FusionReport, predict
from qir.backends.onnx.module import OnnxModule
from qir.calibration import Feeds, Preprocess, feeds
from qir.debug.compare import Rounding, layer_errors
from qir.debug.report import report_text
from qir.errors import DataError, ModelError, RecipeError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.text import graph_text
from qir.ir.types import TensorType
from qir.onnxio.lift import lift
from qir.passmanager.base import Context, Pass
from qir.passmanager.instruments import Timer
from qir.passmanager.manager import Instrument, run
from qir.passmanager.registry import parse_pipeline
from qir.passmanager.trace import Trace
from qir.pipeline import default_pipeline
from qir.plugins import load_plugins
from qir.recipe import Recipe
from qir.recipe import recipe as find_recipe
from qir.target import TARGETS, Target
from qir.target import target as find_target


@dataclass(frozen=True, eq=False)
class Compiled(ABC):
    """What `qir.compile` gives.

    Attributes:
        target, recipe: as compiled for.
        source: the lifted model, before any pass.
        graph: the graph that was emitted.
        passes: what was applied, in order.
        notes: what the passes found worth telling.
        timer: seconds of each pass.
        trace: every step, if asked for.
        rounding: the graphs before and after rounding.
        sample: one calibration batch; None without data.
        seconds: of the whole compilation.
    """

    target: Target
    recipe: Recipe
    source: Graph
    graph: Graph
    passes: tuple[Pass, ...]
    notes: tuple[str, ...]
    timer: Timer
    trace: Trace | None
    rounding: Rounding
    sample: Mapping[str, np.ndarray] | None
    seconds: float

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the result; whole or not at all."""

    @abstractmethod
    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the result on real inputs by name; real outputs by name."""

    def report(self) -> str:
        """What was done, layer by layer, as text."""
        return report_text(self.graph, self.target, self.timer, self.notes, self.sizes, self.layer_errors())

    def layer_errors(self) -> dict[str, float]:
        """Signal to noise of each node's result against the float model on a calibration batch, in dB, by node name.

        Empty without calibration data, and where nothing was rounded.
        """
        if self.sample is None or self.rounding.real is None or self.rounding.quant is None:
            return {}
        quant = self.rounding.quant
        return layer_errors(self.rounding.real, quant, _fitted(quant, self.sample))

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int | None]:
        """Bytes by what they are for; None where they could not be measured."""

    @abstractmethod
    def operators(self) -> Counter[str]:
        """How many nodes run as each operator."""

    @abstractmethod
    def explain(self) -> str:
        """What computes each node, and why nothing faster does."""


@dataclass(frozen=True, eq=False)
class CompiledOnnx(Compiled):
    """A QDQ ONNX model."""

    module: OnnxModule = field(kw_only=True)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the .onnx file.

        Raises:
            OutputError: where it cannot be written.
        """
        return self.module.save(path)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model in onnxruntime with all its optimizations.

        Raises:
            DataError: for missing or unfitting inputs.
        """
        return self.module.run(inputs)

    def fusion_report(self) -> FusionReport:
        """What onnxruntime will run as integers, node by node, and why the rest will not."""
        return predict(self.graph)

    def operators(self) -> Counter[str]:
        """How many nodes onnxruntime will run as each operator."""
        return self.fusion_report().operators()

    def explain(self) -> str:
        """What onnxruntime will run for each node, and why some stay float."""
        return str(self.fusion_report())

    @property
    def sizes(self) -> Mapping[str, int | None]:
        return {"model": self.module.model_bytes}


@dataclass(frozen=True, eq=False)
class CompiledC(Compiled):
    """A network as C; `module` has its files, plan and kernels."""

    module: CModule = field(kw_only=True)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the folder of C.

        Raises:
            OutputError: where it cannot be written.
        """
        return self.module.save(path)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Builds the C with the system's compiler (once) and runs it.

        Raises:
            DataError: for missing or unfitting inputs.
            BuildError: without a working compiler.
        """
        return self.module.run(inputs)

    def benchmark(self, inputs: Mapping[str, np.ndarray], n: int = 100) -> float:
        """Median seconds of one inference, timed in C, one thread."""
        return self.module.benchmark(inputs, n)

    def operators(self) -> Counter[str]:
        """How many nodes run as each operator; those of qir are integer arithmetic."""
        return Counter(node.op for node in self.graph.nodes)

    def explain(self) -> str:
        """Which kernel computes each node, and why others were refused."""
        return self.module.explain()

    @property
    def arena_bytes(self) -> int:
        """Working memory that the caller of net_run gives."""
        return self.module.arena_bytes

    @property
    def weight_bytes(self) -> int:
        """Constant arrays."""
        return self.module.weight_bytes

    @property
    def code_bytes(self) -> int | None:
        """Machine code as built on this machine; None where it cannot be measured."""
        return self.module.code_bytes

    @property
    def sizes(self) -> Mapping[str, int | None]:
        return {"weights": self.weight_bytes, "arena": self.arena_bytes,
                "arena lower bound": self.module.arena_lower_bound, "code": self.code_bytes}  # fmt: skip


def compile(
    model: Any,
    calibration: Any = None,
    *,
    target: str = "onnx",
    recipe: str | Path | Recipe = "int8",
    shapes: Mapping[str, int | Sequence[int]] | None = None,
    bind: Mapping[str, Any] | None = None,
    example_inputs: Any = None,
    preprocess: Preprocess | None = None,
    passes: str | Iterable[Pass] | None = None,
    name: str = "net",
    trace: bool | str | os.PathLike[str] = False,
    instruments: Iterable[Instrument] = (),
    seed: int = 0,
) -> CompiledOnnx | CompiledC:
    """Compiles a float model.

    Args:
        model: a path, bytes, an onnx.ModelProto, a torch.nn.Module (with `example_inputs`), or a lifted qir.Graph.
        calibration: unlabelled samples: arrays, a dict, an iterable of either, an .npz or .npy file, a folder of images
            (with `preprocess`), or a callable that gives an iterable. Without it only weights are quantized.
        target: see `qir.targets()`.
        recipe: an alias (int8, float, weights-int8), the grammar (w8a8), a .toml file, or a qir.Recipe.
        shapes: sizes for dimension symbols, `{"N": 1}`, or whole shapes by input name.
        bind: inputs with a fixed value.
        preprocess: how images become inputs. Its normalisation becomes part of the model, folded into the first layer
            where that is exact: the compiled model takes pixels, 0..255, as do calibration arrays.
        passes: replaces the default pipeline: text such as "fold-constants,quantize", or passes.
        name: of the C functions and files.
        trace: True keeps every step; a path also writes them there.
        instruments: called after every pass.
        seed: of every random choice.

    Returns:
        CompiledOnnx for target onnx, else CompiledC.

    Raises:
        QirError: one of its children for everything that can be wrong with the arguments or the model.
    """
    start = time.perf_counter()
    load_plugins()
    where, numbers = find_target(target), find_recipe(recipe)
    if isinstance(calibration, (int, float)):
        raise DataError(f"calibration is a {type(calibration).__name__}", fix="Give samples, not how many")
    if isinstance(model, Graph):
        if shapes or bind:
            raise ModelError("a lifted graph is already bound", fix="Give shapes and bind to qir.lift")
        source = model
    else:
        source = lift(model, shapes=shapes, bind=bind, example_inputs=example_inputs)
    samples = None if calibration is None else _samples(calibration, source, preprocess)
    context = Context(where, numbers, samples, seed)
    chosen = _passes(passes, numbers, where, source, samples is not None, preprocess)
    if samples is None and numbers.default.activation_bits is not None:
        context.notes.append("no calibration data: weights are quantized, activations stay float")
    timer, kept, rounding = Timer(), Trace() if trace else None, Rounding()
    hooks: list[Instrument] = [timer, rounding, *([kept] if kept is not None else []), *instruments]
    graph = run(source, chosen, context, hooks)
    if kept is not None and not isinstance(trace, bool):
        kept.save(Path(trace))
    sample = None if samples is None else dict(next(iter(samples)))
    facts: dict[str, Any] = {
        "target": where,
        "recipe": numbers,
        "source": source,
        "graph": graph,
        "passes": chosen,
        "timer": timer,
        "trace": kept,
        "rounding": rounding,
        "sample": sample,
    }
    if where.backend == "onnx":
        made = OnnxModule.of(graph)
        if (refusal := made.refusal()) is not None:
            context.notes.append(f"onnxruntime does not load the result: {refusal}")
        return CompiledOnnx(**facts, notes=tuple(context.notes), seconds=time.perf_counter() - start, module=made)
    digest = hashlib.sha256(graph_text(source).encode()).hexdigest()
    vectors = _vectors(graph, sample, seed)
    module = compile_c(graph, name=name, target=where.name, test_vectors=vectors, source_hash=digest)
    return CompiledC(**facts, notes=tuple(context.notes), seconds=time.perf_counter() - start, module=module)


def targets() -> tuple[Target, ...]:
    """Everything that can be compiled for, by name; see Target.description."""
    load_plugins()
    return tuple(TARGETS[name] for name in sorted(TARGETS))


def _samples(calibration: Any, source: Graph, preprocess: Preprocess | None) -> Feeds:
    folder = isinstance(calibration, str | os.PathLike) and Path(calibration).is_dir()
    pixels = replace(preprocess, mean=(0.0,), std=(1.0,)) if preprocess is not None and folder else None
    return feeds(calibration, {name: source.types[name] for name in source.inputs}, preprocess=pixels)


def _passes(
    given: str | Iterable[Pass] | None, recipe: Recipe, target: Target, source: Graph, has_data: bool,
    preprocess: Preprocess | None
) -> tuple[Pass, ...]:  # fmt: skip
    if given is None:
        return default_pipeline(recipe, target, has_data=has_data, stage=source.stage, preprocess=preprocess)
    passes = parse_pipeline(given) if isinstance(given, str) else tuple(given)
    if not all(isinstance(one, Pass) for one in passes):
        raise RecipeError("`passes` holds something that is no pass", fix="Give text or qir.Pass objects")
    return passes


def _vectors(graph: Graph, sample: Mapping[str, Any] | None, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """One test vector for the emitted main.c: the first sample, or seeded noise; expected outputs by the reference."""
    if any(not isinstance(kind := graph.types[name], TensorType) or not kind.is_static for name in graph.inputs):
        return []
    if sample is not None:
        inputs = _fitted(graph, sample)
    else:
        random = np.random.default_rng(seed)
        inputs = {}
        for name in graph.inputs:
            kind = graph.tensor(name)
            if not kind.dtype.is_float:
                return []
            inputs[name] = random.standard_normal(kind.sizes).astype(kind.dtype.numpy)
    return [(inputs, evaluate(graph, inputs))]


def _fitted(graph: Graph, sample: Mapping[str, Any]) -> dict[str, Any]:
    """The leading samples of a batch, as many as the graph takes."""
    fitted = {}
    for name, array in sample.items():
        shape = graph.tensor(name).shape
        size = shape[0] if shape else None
        fitted[name] = array[:size] if isinstance(size, int) and array.ndim else array
    return fitted
