"""The main door: `qir.compile`."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import qir.backends  # noqa: F401  (registers the targets)
from qir.backends.c import compile_c
from qir.backends.c.module import CModule
from qir.backends.onnx.fusion import FusionReport, predict
from qir.backends.onnx.module import OnnxModule
from qir.calibration import Preprocess
from qir.debug.compare import Batches, Rounding, compare
from qir.debug.errors import Comparison
from qir.debug.report import report_text
from qir.debug.trace import Trace
from qir.debug.tracefile import check_replaceable
from qir.errors import DataError, PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.text import graph_text
from qir.ir.types import TensorType
from qir.passmanager.base import Pass
from qir.passmanager.instruments import Timer
from qir.passmanager.manager import Instrument, Step, observed
from qir.passmanager.manager import run as run_passes
from qir.passmanager.manager import steps as pass_steps
from qir.pipeline import prepare
from qir.plugins import load_plugins
from qir.recipe import Recipe
from qir.target import TARGETS, Target


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
        measured = self.sample is not None and self.rounding.quant is not None and self.rounding.real is not None
        rows = self.layer_errors(effects=0).layers if measured else ()
        errors = {row.node: row.accumulated.sqnr for row in rows}
        return report_text(self.graph, self.target, self.timer, self.notes, self.sizes, errors)

    def layer_errors(self, data: Mapping[str, Any] | Batches | None = None, *, effects: int = 32) -> Comparison:
        """How far each layer is from the float model: accumulated, isolated, its effect on the outputs, its weight.

        Args:
            data: one batch of inputs by name, or an iterable of batches; the calibration batch by default.
            effects: samples on which each layer's effect on the outputs is measured; 0 leaves it out.

        Raises:
            DataError: without data, where none was given for calibration either.
            PassError: where nothing was rounded.
        """
        real, quant = self.rounding.real, self.rounding.quant
        if real is None or quant is None:
            raise PassError("nothing was rounded, so there is nothing to compare", fix="Compile with a recipe like int8")
        if data is None and self.sample is None:
            raise DataError("there are no samples to compare on", fix="Give data, or compile with calibration=")
        return compare(real, quant, _fitted(quant, self.sample or {}) if data is None else data, effects=effects)

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
        trace: True keeps every step, see `qir.Trace`; a path also writes them there.
        instruments: called after every pass.
        seed: of every random choice.

    Returns:
        CompiledOnnx for target onnx, else CompiledC.

    Raises:
        QirError: one of its children for everything that can be wrong with the arguments or the model.
    """
    start = time.perf_counter()
    if trace and not isinstance(trace, bool):
        check_replaceable(Path(trace))
    work = prepare(model, calibration, target, recipe, shapes, bind, example_inputs, preprocess, passes, seed)
    source, chosen, context = work.source, work.passes, work.context
    where, samples = context.target, context.feeds
    timer, kept, rounding = Timer(), Trace.of(context, chosen) if trace else None, Rounding()
    hooks: list[Instrument] = [timer, rounding, *([kept] if kept is not None else []), *instruments]
    graph = run_passes(source, chosen, context, hooks)
    if kept is not None and not isinstance(trace, bool):
        kept.save(trace)
    sample = None if samples is None else dict(next(iter(samples)))
    facts: dict[str, Any] = {
        "target": where,
        "recipe": context.recipe,
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


def steps(
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
    instruments: Iterable[Instrument] = (),
    seed: int = 0,
    until: str | Callable[[Step], bool] | None = None,
) -> Iterator[Step]:
    """Walks through the pipeline that `compile` runs: each pass is applied when the next step is asked for.

    Args:
        until: where to stop: the name of a pass, after its first application, or what says of a step that it is the
            last one, such as `qir.debug.trace.layer_below(samples, 20)`.

    The other arguments and errors are those of `compile`; what is wrong with them shows at once, not at the first step.

    Raises:
        PassError: if `until` names a pass that is not in the pipeline.
    """
    work = prepare(model, calibration, target, recipe, shapes, bind, example_inputs, preprocess, passes, seed)
    names = list(dict.fromkeys(one.name for one in work.passes))
    if isinstance(until, str) and until not in names:
        raise PassError(f"pass '{until}' is not in the pipeline", fix=f"It has {', '.join(names) or 'no passes'}")
    return _walk(observed(pass_steps(work.source, work.passes, work.context), instruments), until)


def _walk(walk: Iterator[Step], until: str | Callable[[Step], bool] | None) -> Iterator[Step]:
    for step in walk:
        yield step
        if until is not None and (step.applied.name == until if isinstance(until, str) else until(step)):
            return


def targets() -> tuple[Target, ...]:
    """Everything that can be compiled for, by name; see Target.description."""
    load_plugins()
    return tuple(TARGETS[name] for name in sorted(TARGETS))


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
