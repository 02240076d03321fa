"""Pipelines: which passes run, in which order, for a recipe and a target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import qir.backends
import qir.passes  # noqa: F401  (names the passes)
from qir.calibration import Feeds, Preprocess, feeds
from qir.errors import DataError, ModelError, RecipeError
from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.onnxio.lift import lift
from qir.ops.weighted import depthwise_layers, outer_layers
from qir.passes.fuse.preprocess import FoldPreprocess
from qir.passes.train.finetune import Finetune, check_torch
from qir.passmanager.base import Context, Pass
from qir.passmanager.registry import parse_pipeline
from qir.plugins import load_plugins
from qir.recipe import Recipe
from qir.recipe import recipe as find_recipe
from qir.statistics import Statistics
from qir.target import Target
from qir.target import target as find_target

CLEAN = "expand-functions,fold-constants,eliminate-identities,merge-duplicates,cancel-transposes,eliminate-dead-code"
FUSE = (
    "recognize-codes,recognize-layernorm,recognize-activations,fuse-matmul-add,fuse-pad,fold-batchnorm,fold-affine,"
    "fuse-pad,gemm-on-rows,fold-constants,merge-duplicates,eliminate-identities,eliminate-dead-code"
)
QUANTIZE = (
    "collect,absorb-biases,equalize,calibrate,drop-slow-islands,quantize,quantize-weights,protect-weights,"
    "round-weights,correct-biases,quantize-biases,absorb-activations"
)
ESTIMATE = "estimate-ranges"
QUANTIZE_ESTIMATED = (
    "drop-slow-islands,quantize,quantize-weights,protect-weights,correct-biases,quantize-biases,absorb-activations"
)
QUANTIZE_WEIGHTS = "quantize-weights,protect-weights"
QUANTIZE_WEIGHTS_WITH_DATA = "collect,equalize,calibrate,quantize-weights,protect-weights,round-weights"
QUANTIZE_REST = "quantize-biases,absorb-activations"
QUANTIZE_REST_WITH_DATA = (
    "collect,calibrate,quantize,quantize-weights,protect-weights,round-weights,quantize-biases,absorb-activations"
)
ORIENT = "orient-weights,align-channels"
BIND = "bind-batch,fold-constants,eliminate-identities,eliminate-dead-code"
LOWER = "lower-integer,compose-lookups"
FINETUNE = "finetune"
COMPRESS = ("prune", "low-rank", "sparsify")
AFTER_TRAINING = ("quantize-biases", "absorb-activations", *ORIENT.split(","), "bind-batch", *LOWER.split(","))
"""What follows the rounding that training undoes and does again: `finetune` stands before the first of these."""
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def default_pipeline(
    recipe: Recipe,
    target: Target,
    *,
    has_data: bool,
    stage: Stage = Stage.FLOAT,
    quantized: bool = False,
    batchnorms: bool = False,
    preprocess: Preprocess | None = None,
    compress: tuple[Pass, ...] = (),
) -> tuple[Pass, ...]:
    """The passes that `qir.compile` runs when it is given none.

    Args:
        has_data: whether there are calibration samples; without them only weights are quantized, and those
            activations whose ranges BatchNorms tell.
        stage: of the model as lifted; QUANT where it holds Q/DQ pairs already.
        quantized: whether layers of the model come with codes. These stay, and nothing moves what was trained with
            them; what is real between integer layers is rounded where there are samples, else it stays.
        batchnorms: whether the model holds BatchNormalization nodes.
        preprocess: normalisation to fold into the model, which then takes pixels.
        compress: what makes the float network smaller, once it is clean and fused.
    """
    first: tuple[Pass, ...] = ()
    if preprocess is not None:
        axis = 1 if preprocess.layout == "NCHW" else 3
        first = (FoldPreprocess(mean=preprocess.mean, std=preprocess.std, channel_axis=axis),)
    layers = [recipe.default, *(recipe.layer((o.match,), o.match) for o in recipe.overrides)]
    codes = stage is Stage.QUANT
    activations = any(layer.activation_bits is not None for layer in layers)
    estimated = activations and not has_data and batchnorms and stage is Stage.FLOAT
    first += parse_pipeline(",".join([CLEAN, ESTIMATE, FUSE] if estimated else [CLEAN, FUSE])) + compress
    parts: list[str] = []
    if activations and quantized:
        parts.append(QUANTIZE_REST_WITH_DATA if has_data else QUANTIZE_REST)
    elif activations and (has_data or estimated):
        parts.append(QUANTIZE if has_data else QUANTIZE_ESTIMATED)
        codes = True
    elif any(layer.weight_bits is not None for layer in layers):
        parts.append(QUANTIZE_WEIGHTS_WITH_DATA if has_data and not quantized else QUANTIZE_WEIGHTS)
        codes = True
    if codes and target.backend == "onnx":
        parts.append(ORIENT)
    if target.backend == "c":
        parts.append(BIND)
        parts += [LOWER] if codes else []
    return first + parse_pipeline(",".join(parts))


@dataclass(frozen=True)
class Work:
    """A pipeline ready to run.

    Attributes:
        source: the lifted model.
        passes: what to apply to it.
        context: the target, the recipe and the samples.
    """

    source: Graph
    passes: tuple[Pass, ...]
    context: Context


def prepare(
    model: Any, calibration: Any, target: str, recipe: str | Path | Recipe,
    shapes: Mapping[str, int | Sequence[int]] | None, bind: Mapping[str, Any] | None, example_inputs: Any,
    preprocess: Preprocess | None, passes: str | Iterable[Pass] | None, seed: int, executor: Executor | None = None,
    compress: str | Iterable[Pass] | None = None, finetune: bool | str | Pass | None = None, labels: Any = None,
) -> Work:  # fmt: skip
    """What `qir.compile` and `qir.steps` are given, read and checked; see `qir.compile`."""
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
    known = calibration if isinstance(calibration, Statistics) else None
    samples = None if calibration is None or known is not None else _samples(calibration, source, preprocess)
    numbers = numbers.with_ends_at(outer_layers(source), depthwise_layers(source))
    context = Context(where, numbers, samples, seed, known, executor=executor, labels=_labels(labels))
    has_data, quantized = calibration is not None, _layers_have_codes(source)
    if passes is not None and compress is not None:
        raise RecipeError("`passes` and `compress` are both given", fix="Put what compresses among the passes")
    if passes is None:
        norms = any(node.op == "BatchNormalization" for node in source.nodes)
        chosen = default_pipeline(numbers, where, has_data=has_data, stage=source.stage, quantized=quantized,
                                  batchnorms=norms, preprocess=preprocess,
                                  compress=as_passes(compress or ()))  # fmt: skip
    else:
        chosen = as_passes(passes)
    if finetune is not None and finetune is not False:
        if samples is None:
            raise DataError("fine-tuning reads samples, and there are none", fix="Give calibration=samples")
        chosen = with_finetune(chosen, finetune, numbers)
    context.teacher = teacher(source, chosen, context)
    if not has_data and numbers.default.activation_bits is not None and quantized:
        context.notes.append("the model comes with codes: no calibration data, so that what else it holds stays float")
    elif not has_data and numbers.default.activation_bits is not None:
        rest = "those that no BatchNorm tells of stay" if any(one.name == ESTIMATE for one in chosen) else "stay"
        context.notes.append(f"no calibration data: weights are quantized, activations {rest} float")
    return Work(source, chosen, context)


def with_finetune(passes: tuple[Pass, ...], given: bool | str | Pass, recipe: Recipe) -> tuple[Pass, ...]:
    """A pipeline with fine-tuning in its place: where weights and activations are rounded, and biases are not.

    What makes the network smaller is made good for in float, right behind it; where nothing gets fewer than 8 bits that
    is the only training.

    Args:
        given: True for the defaults, text such as "finetune{steps=2000}", or the pass.

    Raises:
        PassError, RecipeError: for what is no such pass.
        MissingDependencyError: where PyTorch is not installed.
    """
    tuning = as_passes(FINETUNE if given is True else given if isinstance(given, str) else (given,))  # type: ignore[arg-type]
    if [one.name for one in tuning] != [FINETUNE]:
        raise RecipeError(f"finetune is {given!r}", fix='Give True, "finetune{steps=2000}", or the pass')
    check_torch()
    place = next((i for i, one in enumerate(passes) if one.name in AFTER_TRAINING), len(passes))
    smaller = max((i + 1 for i, one in enumerate(passes[:place]) if one.name in COMPRESS), default=0)
    if smaller:
        passes = (*passes[:smaller], *_in_float(tuning), *passes[smaller:])
        place += len(tuning)
    return passes if smaller and not recipe.has_few_bits else (*passes[:place], *tuning, *passes[place:])


def _in_float(tuning: tuple[Pass, ...]) -> tuple[Pass, ...]:
    """The same training with a checkpoint of its own."""
    return tuple(replace(one, checkpoint=f"{one.checkpoint}.float") if isinstance(one, Finetune) and one.checkpoint
                 else one for one in tuning)  # fmt: skip


def without_training(work: Work) -> Work:
    """The same work, the same object where nothing is trained."""
    kept = tuple(one for one in work.passes if one.name != FINETUNE)
    return work if len(kept) == len(work.passes) else replace(work, passes=kept)


def teacher(source: Graph, passes: Iterable[Pass], context: Context) -> Graph:
    """The float model on the inputs that the network will take: pixels, where a first pass normalises them."""
    first = next(iter(passes), None)
    return first.run(source, context) if isinstance(first, FoldPreprocess) else source


def _labels(given: Any) -> np.ndarray | None:
    """Labels as an array, or from an .npy file; whether they fit shows when they are used."""
    if isinstance(given, str | os.PathLike):
        try:
            return np.asarray(np.load(given, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise DataError(f"the labels '{given}' cannot be read: {error}", fix="Save them with numpy.save") from error
    return None if given is None else np.asarray(given)


def _layers_have_codes(graph: Graph) -> bool:
    kinds = (inner.types.get(name) for inner, node in graph.walk() if node.op in _LAYERS for name in node.inputs)
    return any(isinstance(kind, TensorType) and kind.quant is not None for kind in kinds)


def _samples(calibration: Any, source: Graph, preprocess: Preprocess | None) -> Feeds:
    folder = isinstance(calibration, str | os.PathLike) and Path(calibration).is_dir()
    pixels = replace(preprocess, mean=(0.0,), std=(1.0,)) if preprocess is not None and folder else None
    return feeds(calibration, {name: source.types[name] for name in source.inputs}, preprocess=pixels)


def as_passes(given: str | Iterable[Pass]) -> tuple[Pass, ...]:
    """Passes from their textual form, or themselves.

    Raises:
        PassError: for text that does not parse.
        RecipeError: for something that is no pass.
    """
    passes = parse_pipeline(given) if isinstance(given, str) else tuple(given)
    if not all(isinstance(one, Pass) for one in passes):
        raise RecipeError("`passes` holds something that is no pass", fix="Give text or qir.Pass objects")
    return passes
