"""Pipelines: which passes run, in which order, for a recipe and a target."""

from __future__ import annotations

import qir.passes  # noqa: F401  (names the passes)
from qir.calibration import Preprocess
from qir.ir.graph import Stage
from qir.passes.fuse.preprocess import FoldPreprocess
from qir.passmanager.base import Pass
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
from qir.target import Target

CLEAN = "expand-functions,fold-constants,eliminate-identities,merge-duplicates,cancel-transposes,eliminate-dead-code"
FUSE = (
    "recognize-layernorm,recognize-activations,fuse-matmul-add,fuse-pad,fold-batchnorm,fold-affine,fuse-pad,"
    "fold-constants,eliminate-identities,eliminate-dead-code"
)
QUANTIZE = "calibrate,quantize,quantize-weights,round-weights,quantize-biases,absorb-activations"
QUANTIZE_WEIGHTS = "quantize-weights"
BIND = "bind-batch,fold-constants,eliminate-identities,eliminate-dead-code"
LOWER = "lower-integer"


def default_pipeline(
    recipe: Recipe,
    target: Target,
    *,
    has_data: bool,
    stage: Stage = Stage.FLOAT,
    preprocess: Preprocess | None = None,
) -> tuple[Pass, ...]:
    """The passes that `qir.compile` runs when it is given none.

    Args:
        has_data: whether there are calibration samples; without them only weights are quantized.
        stage: of the model as lifted; QUANT where it holds Q/DQ pairs already.
        preprocess: normalisation to fold into the model, which then takes pixels.
    """
    first: tuple[Pass, ...] = ()
    if preprocess is not None:
        axis = 1 if preprocess.layout == "NCHW" else 3
        first = (FoldPreprocess(mean=preprocess.mean, std=preprocess.std, channel_axis=axis),)
    parts = [CLEAN, FUSE]
    layers = [recipe.default, *(recipe.layer((o.match,), o.match) for o in recipe.overrides)]
    codes = stage is Stage.QUANT
    if has_data and any(layer.activation_bits is not None for layer in layers):
        parts.append(QUANTIZE)
        codes = True
    elif any(layer.weight_bits is not None for layer in layers):
        parts.append(QUANTIZE_WEIGHTS)
        codes = True
    if target.backend == "c":
        parts.append(BIND)
        parts += [LOWER] if codes else []
    return first + parse_pipeline(",".join(parts))
