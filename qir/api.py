"""The main door: `qir.compile`."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import qir.backends  # noqa: F401  (registers the targets)
from qir.applied import Applied, apply
from qir.backends.c import compile_c
from qir.backends.c.costs import Costs, read_costs
from qir.backends.onnx.fusion import format_notes
from qir.backends.onnx.module import OnnxModule
from qir.budget import byte_count, check_drop, cost_of_few_bits, within_bytes, within_drop
from qir.budget.options import Again
from qir.calibration import Preprocess
from qir.compiled import Compiled, CompiledC, CompiledOnnx, fitted
from qir.debug.explain import explain as explain_graphs
from qir.debug.explain.foreign import comparable
from qir.debug.findings import Explanation
from qir.debug.samples import batches_of
from qir.debug.tracefile import check_replaceable
from qir.errors import PassError, RecipeError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.text import graph_text
from qir.ir.types import TensorType
from qir.onnxio.lift import lift
from qir.passmanager.base import Pass
from qir.passmanager.manager import Instrument, Step, observed
from qir.passmanager.manager import run as run_passes
from qir.passmanager.manager import steps as pass_steps
from qir.pipeline import Work, prepare, without_training
from qir.plugins import load_plugins
from qir.recipe import Recipe
from qir.statistics import Statistics
from qir.target import TARGETS, Target, requantizing


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
    compress: str | Iterable[Pass] | None = None,
    name: str = "net",
    trace: bool | str | os.PathLike[str] = False,
    instruments: Iterable[Instrument] = (),
    finetune: bool | str | Pass | None = None,
    labels: Any = None,
    max_drop: float | None = None,
    max_bytes: int | str | None = None,
    max_ram: int | str | None = None,
    io: str = "model",
    state: Mapping[str, str] | None = None,
    costs: str | os.PathLike[str] | None = None,
    threads: int = 1,
    requantization: str | None = None,
    executor: Executor | None = None,
    seed: int = 0,
) -> CompiledOnnx | CompiledC:
    """Compiles a float model.

    Args:
        model: a path, bytes, an onnx.ModelProto, a torch.nn.Module (with `example_inputs`), or a lifted qir.Graph.
        calibration: unlabelled samples: arrays, a dict, an iterable of either, an .npz or .npy file, a folder of images
            (with `preprocess`), or a callable that gives an iterable; or what `qir.calibrate` learned of them. Without
            it weights are quantized, and activations as far as the BatchNormalizations of the model tell their ranges:
            what lies behind one, not the model's input or what follows an operator that the estimate does not know.
            Such ranges are rougher than calibrated ones; `notes` of the result says how many were found. A model whose
            layers come with codes (Q/DQ pairs, QONNX, signs and thresholds) keeps them, and needs no samples.
        target: see `qir.targets()`.
        recipe: an alias (int8, int16, weights-int4, ...), the grammar (w4a8), a .toml file, or a qir.Recipe.
        shapes: sizes for dimension symbols, `{"N": 1}`, or whole shapes by input name.
        bind: inputs with a fixed value.
        preprocess: how images become inputs. Its normalisation becomes part of the model, folded into the first layer
            where that is exact: the compiled model takes pixels, 0..255, as do calibration arrays.
        passes: replaces the default pipeline: text such as "fold-constants,quantize", or passes.
        compress: what makes the network smaller before it is quantized, as text such as "prune{channels=0.3}", or as
            passes; see `qir opt --list` for prune, low-rank and sparsify. The default pipeline runs it between fusing
            and calibration; `notes` of the result says what is left, and what it cost.
        name: of the C functions and files.
        trace: True keeps every step, see `qir.Trace`; a path also writes them there.
        instruments: called after every pass.
        finetune: True trains the rounded network on the float model's outputs for the calibration samples, which needs
            no labels but `pip install 'qir[train]'`, minutes, and some thousand samples for the best of it; so does
            text such as "finetune{steps=2000}", or the pass. `notes` of the result says what it brought. With a budget,
            formats are chosen first.
        labels: classes of the calibration samples in their order, whole numbers or an .npy file, for `finetune`.
        max_drop: the drop in accuracy to accept, 0.005 for half a point. No labels are needed: on the calibration
            samples, the upper end of the 95 % interval of the share of answers that move has to stay below (of
            outputs without classes, that of noise power over signal power; see `qir.debug.answers`). Layers get
            wider weights or activations, as far as the target runs them, or stay float, those that give most for their
            bytes and work; `recipe` and `notes` of the result say which, and why. Compiles up to ten times.
        max_bytes: 65536, "64k" or "64Ki": the weights of single layers get so few bits that the .onnx file, or the
            constants of the C, fit, with the least noise at the outputs; widths are those that the target stores.
            In C, faster kernels with weights larger than the codes are taken as far as there is room.
        max_ram: 28672, "28k" or "28Ki" of C's arena: layers are computed some rows at a time, as far as it takes; where
            windows overlap, rows are computed again. The results are the same bits.
        io: how C takes inputs and gives outputs. "model": as the model says, reals in row-major order for net_run and
            codes for net_run_q. "native": as the layers have them, codes, channels last; nothing is converted.
            "arena": as native, but inside the arena. `run` of the result takes and gives what the model does.
        state: of C: {"h_out": "h_in"}: the output is the input's value in the next run. It is kept in a net_state,
            which net_reset makes zeros; `run` of the result keeps it, `reset` forgets it.
        costs: a file from `qir bench kernels --save`: what kernels cost on the processor that the C is for, by which
            they are chosen.
        threads: of C: into how many pieces heavy layers are cut at most, which net_run_on runs on threads that its
            caller gives; net_run stays on one. The results are the same bits.
        requantization: of C: how accumulators become codes. "float32": as onnxruntime does; "fixed": by integers alone,
            one product and one rounding shift, and every result of an integer layer has codes, so that net_run_q holds
            no floating-point arithmetic. By default what suits the target: fixed where it has no FPU.
        executor: of `concurrent.futures`, or like it: calibration is shared out to its workers. The result is the same.
        seed: of every random choice.

    Returns:
        CompiledOnnx for target onnx, else CompiledC.

    Raises:
        QirError: one of its children for everything that can be wrong with the arguments or the model.
    """
    start = time.perf_counter()
    if trace and not isinstance(trace, bool):
        check_replaceable(Path(trace))
    work = prepare(model, calibration, target, recipe, shapes, bind, example_inputs, preprocess, passes, seed, executor,
                   compress, finetune, labels)  # fmt: skip
    if threads != 1 and (threads < 1 or work.context.target.backend != "c"):
        raise RecipeError(f"{threads} threads cannot be had for target {target}", fix="Give 1 or more, for C")
    if requantization is not None:
        work.context.target = requantizing(work.context.target, requantization)
    for option, given in (("max_ram", max_ram), ("io", io if io != "model" else None), ("state", state)):
        if given is not None and work.context.target.backend != "c":
            raise RecipeError(f"{option} is that of C, and target {target} makes none", fix="Leave it out")
    has_samples = work.context.feeds is not None
    table = _costs(costs, work.context.target)
    check_drop(max_drop, has_samples)
    most_bytes, most_ram = byte_count(max_bytes), byte_count(max_ram, "max_ram")
    if most_bytes is not None and not has_samples:
        raise RecipeError("max_bytes needs samples to measure layers on", fix="Give calibration=")
    if max_drop is not None and most_bytes is not None:
        raise RecipeError("max_drop and max_bytes are both given", fix="Give one of them")
    hooks = tuple(instruments)
    search = work if max_drop is None and most_bytes is None else without_training(work)
    applied = apply(search, traced=bool(trace), instruments=hooks)
    known = applied.context.collected

    def again(numbers: Recipe, work: Work = search) -> Applied:
        return apply(work, recipe=numbers, statistics=known, traced=bool(trace), instruments=hooks)

    applied = _within(applied, again, max_drop, most_bytes, table)
    if search is not work:
        said, applied = applied.context.notes, again(applied.recipe, work)
        applied.context.notes.extend(note for note in said if note not in applied.context.notes)
    graph, context, kept = applied.graph, applied.context, applied.trace
    if (cost := cost_of_few_bits(applied)) is not None:
        context.notes.append(cost)
    source, chosen, where, samples = work.source, work.passes, context.target, context.feeds
    if kept is not None and not isinstance(trace, bool):
        kept.save(trace)
    sample = None if samples is None else dict(next(iter(samples)))
    facts: dict[str, Any] = {
        "target": where,
        "recipe": context.recipe,
        "source": source,
        "graph": graph,
        "passes": chosen,
        "timer": applied.timer,
        "trace": kept,
        "rounding": applied.rounding,
        "sample": sample,
    }
    if where.backend == "onnx":
        made = OnnxModule.of(graph)
        if (refusal := made.refusal()) is not None:
            context.notes.append(f"onnxruntime does not load the result: {refusal}")
        context.notes.extend(format_notes(graph))
        return CompiledOnnx(**facts, notes=tuple(context.notes), seconds=time.perf_counter() - start, module=made)
    digest = hashlib.sha256(graph_text(source).encode()).hexdigest()
    vectors = _vectors(graph, sample, seed, state or {})
    module = compile_c(graph, name=name, target=where.name, test_vectors=vectors, source_hash=digest, costs=table,
                       threads=threads, max_bytes=most_bytes, max_ram=most_ram, io=io, state=state or {})  # fmt: skip
    return CompiledC(**facts, notes=tuple(context.notes), seconds=time.perf_counter() - start, module=module)


def calibrate(
    model: Any,
    calibration: Any,
    *,
    target: str = "onnx",
    recipe: str | Path | Recipe = "int8",
    shapes: Mapping[str, int | Sequence[int]] | None = None,
    bind: Mapping[str, Any] | None = None,
    example_inputs: Any = None,
    preprocess: Preprocess | None = None,
    passes: str | Iterable[Pass] | None = None,
    compress: str | Iterable[Pass] | None = None,
    executor: Executor | None = None,
    seed: int = 0,
) -> Statistics:
    """What `compile` would learn from samples, to keep, to merge with that of other samples, and to compile with.

    Runs the pipeline up to its `collect`, or up to its last `calibrate` where it has none. The arguments and errors are
    those of `compile`. Statistics serve every recipe and target whose passes before that and whose integer operators
    are the same; where they do not fit, `compile` says so.

    Raises:
        PassError: if the pipeline does not calibrate.
    """
    work = prepare(model, calibration, target, recipe, shapes, bind, example_inputs, preprocess, passes, seed, executor,
                   compress)  # fmt: skip
    places = {one.name: number for number, one in enumerate(work.passes)}
    last = places.get("collect", places.get("calibrate"))
    if last is None:
        raise PassError("the pipeline does not calibrate", fix="Give samples, and a recipe with quantized activations")
    run_passes(work.source, work.passes[: last + 1], work.context)
    assert work.context.collected is not None
    return work.context.collected


def _costs(path: str | os.PathLike[str] | None, target: Target) -> Costs | None:
    if path is not None and target.backend != "c":
        raise RecipeError(f"costs are those of C kernels, and target {target.name} has none", fix="Leave costs out")
    return None if path is None else read_costs(path)


def _within(
    applied: Applied, again: Again, max_drop: float | None, max_bytes: int | None, costs: Costs | None
) -> Applied:
    """The result of a pipeline within the budgets that were given."""
    if max_drop is not None:
        return within_drop(applied, again, max_drop)
    if max_bytes is None:
        return applied
    return within_bytes(applied, again, partial(_emitted_bytes, costs, max_bytes), max_bytes)


def _emitted_bytes(costs: Costs | None, max_bytes: int, applied: Applied) -> int:
    """Bytes of the .onnx file, or of the C's constants."""
    target = applied.context.target
    if target.backend == "onnx":
        return OnnxModule.of(applied.graph).model_bytes
    return compile_c(applied.graph, target=target.name, costs=costs, max_bytes=max_bytes).weight_bytes


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
    compress: str | Iterable[Pass] | None = None,
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
    work = prepare(model, calibration, target, recipe, shapes, bind, example_inputs, preprocess, passes, seed,
                   compress=compress)  # fmt: skip
    names = list(dict.fromkeys(one.name for one in work.passes))
    if isinstance(until, str) and until not in names:
        raise PassError(f"pass '{until}' is not in the pipeline", fix=f"It has {', '.join(names) or 'no passes'}")
    return _walk(observed(pass_steps(work.source, work.passes, work.context), instruments), until)


def _walk(walk: Iterator[Step], until: str | Callable[[Step], bool] | None) -> Iterator[Step]:
    for step in walk:
        yield step
        if until is not None and (step.applied.name == until if isinstance(until, str) else until(step)):
            return


def explain(
    float_model: Any,
    quantized: Any,
    data: Any,
    *,
    shapes: Mapping[str, int | Sequence[int]] | None = None,
    bind: Mapping[str, Any] | None = None,
) -> Explanation:
    """Says why a quantized model is worse than its float model: findings with node, cause, evidence and a tried repair.

    Args:
        float_model: as for `compile`.
        quantized: what `compile` gave, or a model in QDQ form that any other tool made of `float_model`.
        data: samples like those the model will see, labels are not needed; as calibration of `compile`.
        shapes, bind: of the models, as for `compile`.

    Raises:
        ModelError: where the two models have no layers in common, or the second holds no codes.
        DataError: for data that does not fit.
        QirError: as `lift`.
    """
    load_plugins()
    real = float_model if isinstance(float_model, Graph) else lift(float_model, shapes=shapes, bind=bind)
    runtime = True
    if isinstance(quantized, Compiled):
        known = quantized.rounding
        if known.real is None or known.quant is None:
            raise PassError("nothing was rounded: there is nothing to explain", fix="Compile with a recipe like int8")
        # A network that takes pixels is not comparable with a model that takes normalised ones.
        real = known.real if any(one.name == "fold-preprocess" for one in quantized.passes) else real
        quant, runtime = known.quant, quantized.target.backend == "onnx"
    else:
        quant = quantized if isinstance(quantized, Graph) else lift(quantized, shapes=shapes, bind=bind)
    real, quant = comparable(real, quant)
    return explain_graphs(real, quant, batches_of(quant, data), runtime=runtime)


def targets() -> tuple[Target, ...]:
    """Everything that can be compiled for, by name; see Target.description."""
    load_plugins()
    return tuple(TARGETS[name] for name in sorted(TARGETS))


def _vectors(
    graph: Graph, sample: Mapping[str, Any] | None, seed: int, state: Mapping[str, str]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Test vectors for the emitted main.c: the first sample, or seeded noise; expected outputs by the reference.

    One vector, or of a network with a state a few in a row, from zeros on.
    """
    if any(not isinstance(kind := graph.types[name], TensorType) or not kind.is_static for name in graph.inputs):
        return []
    kept = {name: np.zeros(graph.tensor(name).sizes, graph.tensor(name).dtype.numpy)
            for name in graph.inputs if name in state.values()}  # fmt: skip
    if any(graph.types.get(output) is None or name not in kept or graph.tensor(output).sizes != kept[name].shape
           for output, name in state.items()):  # fmt: skip
        return []  # the plan will say what is wrong
    random, found = np.random.default_rng(seed), []
    for number in range(_STEPS if state else 1):
        inputs = {} if sample is None else fitted(graph, sample, number)
        for name in graph.inputs if sample is None else ():
            kind = graph.tensor(name)
            if not kind.dtype.is_float and name not in kept:
                return []
            inputs[name] = random.standard_normal(kind.sizes).astype(kind.dtype.numpy)
        inputs |= kept
        wanted = evaluate(graph, inputs)
        found.append((inputs, wanted))
        kept = {name: wanted[output] for output, name in state.items() if output in wanted}
    return found


_STEPS = 3
"""Test vectors of a network with a state."""
