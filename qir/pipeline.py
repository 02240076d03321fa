"""Pipelines: which passes run, in which order, for a recipe and a target."""

from __future__ import annotations

import qir.passes  # noqa: F401  (names the passes)
from qir.passmanager.base import Pass
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
from qir.target import Target

CLEAN = "fold-constants,eliminate-identities,merge-duplicates,cancel-transposes,eliminate-dead-code"
FUSE = (
    "recognize-layernorm,recognize-activations,fuse-matmul-add,fold-batchnorm,fold-affine,fuse-pad,"
    "fold-constants,eliminate-identities,eliminate-dead-code"
)
QUANTIZE = "calibrate,quantize,quantize-weights,round-weights,quantize-biases,absorb-activations"
QUANTIZE_WEIGHTS = "quantize-weights"
LOWER = "lower-integer"


def default_pipeline(recipe: Recipe, target: Target, *, has_data: bool) -> tuple[Pass, ...]:
    """The passes that `qir.compile` runs when it is given none.

    Args:
        has_data: whether there are calibration samples; without them only weights are quantized.
    """
    parts = [CLEAN, FUSE]
    layers = [recipe.default, *(recipe.layer((o.match,), o.match) for o in recipe.overrides)]
    if has_data and any(layer.activation_bits is not None for layer in layers):
        parts.append(QUANTIZE)
    elif any(layer.weight_bits is not None for layer in layers):
        parts.append(QUANTIZE_WEIGHTS)
    if target.backend == "c" and len(parts) > 2:
        parts.append(LOWER)
    return parse_pipeline(",".join(parts))
