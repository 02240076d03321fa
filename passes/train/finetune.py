"""`finetune`: trains what was rounded until the network does what the float model does.

The graph becomes a differentiable module (network.py) that computes with codes: weights are latent reals that it sees
rounded, and gradients go straight through the rounding (rounding.py, which also says with what factor). It learns

    weights     by moving the reals behind their codes
    scales      of weights and of activations, with LSQ's gradients; thresholds of ternary codes go with their scale
    thresholds  of binary activations
    biases      and offsets of normalizations

from the float model's outputs on the calibration samples, `T^2 KL(softmax(z / T) || softmax(y / T))` where they rank
classes and the squared error relative to their power where not, plus, where `features` says so, the squared errors of
what layers read, where the float model has it too. Samples may be changed anew in every step (augment.py). No labels
are needed; where there are some, their cross-entropy is added. A tenth of the samples is held out: of all the networks
on the way the one counts that was best on these, if it is better than the one before.

Codes come back as any pass gives them. What kernels rely on stays: zero points, codes of inputs, clamps that codes
hold, ranges that operators or the recipe fix. Biases that were codes become reals: `quantize-biases` follows.

Everything is in one thread by default and follows from the seed: the same samples give the same bytes, also when an
interrupted training goes on from its checkpoint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qir.errors import MissingDependencyError, PassError
from qir.evaluate import Runner
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Stage
from qir.ir.text import graph_text
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import weighted
from qir.passes.quantize.saturation import pair_partners, without_saturation, worst_pair
from qir.passes.quantize.weights import pair_limit
from qir.passes.train.augment import AUGMENTATIONS
from qir.passes.train.samples import Samples, taught
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.error import sqnr
from qir.quant.scales import encode
from qir.rewrite.editor import Editor
from qir.walk import without_codes

if TYPE_CHECKING:
    from qir.passes.train.network import Network

_HELD_OUT, _MOST_HELD_OUT = 10, 512
"""One sample in so many is held out, and so many at most."""
_FEWEST = 20
"""Of fewer samples none is held out."""


@dataclass(frozen=True)
class Finetune(Pass):
    """Trains weights, scales and biases with the rounding in place, on the float model's outputs. Needs PyTorch.

    Attributes:
        steps: of the optimizer, Adam.
        learning_rate: of weights of at most 16 codes, in units of the root mean square of their channel; of a network
            that is not rounded yet, of all weights.
        fine_rate: share of it that all else takes: other weights, biases (in units of what their layer gives), scales
            and thresholds (in units of themselves).
        batch_size: samples a step.
        warmup: share of the steps in which the rate rises; half a cosine follows.
        clip_norm: largest norm of all gradients together.
        temperature: T.
        features: weight of the errors inside the network.
        labels: weight of the cross-entropy of labels, where there are some.
        augment: how samples are changed anew in every step: mirror, shift, mix (augment.py).
        patience: looks at the samples held out, of twenty, without improvement after which it ends early; 0 for never.
        checkpoint: file from which an interrupted training goes on; "" for none.
        threads: that PyTorch may use; only one always gives the same bytes.
    """

    name: ClassVar[str] = "finetune"
    promise: ClassVar[Promise] = Promise.LOSSY
    needs_data: ClassVar[bool] = True
    steps: int = 1000
    learning_rate: float = 0.01
    fine_rate: float = 0.1
    batch_size: int = 64
    warmup: float = 0.05
    clip_norm: float = 1.0
    temperature: float = 4.0
    features: float = 0.0
    labels: float = 1.0
    augment: tuple[str, ...] = ()
    patience: int = 0
    checkpoint: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        whole = ("steps", "batch_size", "threads")
        positive = (*whole, "learning_rate", "clip_norm", "temperature")
        for option in (*positive, "fine_rate", "warmup", "features", "labels", "patience"):
            value = getattr(self, option)
            if value < 0 or (option in positive and value == 0):
                raise PassError(f"finetune has {option} {value}", fix="Give a positive number")
        if self.warmup >= 1:
            raise PassError(f"finetune has warmup {self.warmup}", fix="Give a share below 1")
        if unknown := sorted(set(self.augment) - set(AUGMENTATIONS)):
            raise PassError(f"finetune has augment {unknown[0]}", fix=f"Choose among {', '.join(AUGMENTATIONS)}")

    def run(self, graph: Graph, context: Context) -> Graph:
        check_torch()
        if context.feeds is None:
            raise PassError("finetune reads the samples themselves, and has none", fix="Pass calibration=samples")
        from qir.passes.train.network import Network
        from qir.passes.train.training import Plan, threads, train

        teacher = without_codes(graph) if context.teacher is None else context.teacher
        samples = taught(graph, teacher, context.feeds, context.labels, features=self.features > 0,
                         keeps=not self.augment)  # fmt: skip
        places = np.arange(samples.count)
        judges = places[::_HELD_OUT][:_MOST_HELD_OUT] if samples.count >= _FEWEST else places
        with threads(self.threads):
            network = Network(graph, context)
            plan = Plan(self, context.seed, _digest(graph, samples))
            done, before, after = train(network, samples, judges, plan)
        if not after < before:
            context.notes.append(f"finetune: {done} steps on {samples.count} samples brought nothing: all stays")
            return graph
        trained = written(network, context)
        if graph.stage is Stage.FLOAT:  # what was observed is no longer so
            context.statistics, context.moments = None, {}
        context.notes.append(_told(graph, trained, samples, judges, done))
        return trained


def check_torch() -> None:
    """Raises MissingDependencyError where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise MissingDependencyError("fine-tuning needs PyTorch", fix="pip install 'qir[train]'")


def written(network: Network, context: Context) -> Graph:
    """The graph with what the network has learned."""
    graph = network.graph
    edit = Editor(graph)
    readers = {node.inputs[slots.weight]: node for node in reversed(graph.nodes)
               if (slots := weighted(node, graph)) is not None}  # fmt: skip
    for name, weight in network.weights.items():
        real, quant, codes = weight.learned()
        if quant is not None and codes is not None:
            limit, partners = pair_limit(readers[name], quant, graph, context), pair_partners(readers[name], real)
            if limit is not None and partners is not None and worst_pair(readers[name], codes, partners).max() > limit:
                quant = without_saturation(readers[name], real, quant, limit)
                codes = encode(real, quant)
        _set(edit, name, real, quant, codes)
    for name, offset in network.offsets.items():
        _set(edit, name, offset.learned(), None, None)
    changed = {quant: rounding.learned() for quant, rounding in network.roundings.items()}
    for name, kind in graph.types.items():
        if name not in graph.constants and isinstance(kind, TensorType) and kind.quant in changed:
            edit.set_type(name, TensorType(kind.dtype, kind.shape, changed[kind.quant]))
    return edit.build()


def _set(edit: Editor, name: str, value: np.ndarray, quant: Affine | None, codes: np.ndarray | None) -> None:
    edit.set_constant(name, Constant(value, codes))
    edit.set_type(name, TensorType(of_array(value), value.shape, quant))


def _digest(graph: Graph, samples: Samples) -> str:
    """Tells one training from another."""
    found = hashlib.sha256(graph_text(graph).encode())
    for arrays in (samples.inputs, samples.wanted, {} if samples.labels is None else {"": samples.labels}):
        for name, array in arrays.items():
            found.update(f"{name} {array.shape}".encode())
            found.update(array.tobytes())
    return found.hexdigest()


def _told(before: Graph, after: Graph, samples: Samples, judges: np.ndarray, steps: int) -> str:
    """What it brought, on the samples held out."""
    taps, given = [goal.name for goal in samples.outputs], samples.some(judges)
    found = [samples.through(Runner(graph, taps, optimize=True, integers=False, threads=1), given)
             for graph in (before, after)]  # fmt: skip
    parts = []
    for goal in samples.outputs:
        wanted = samples.wanted[goal.name][judges]
        noise = [sqnr(wanted, one[goal.name]) for one in found]
        text = f"from {noise[0]:.1f} to {noise[1]:.1f} dB"
        if goal.classes:
            same = [(_answers(wanted) == _answers(one[goal.name])).mean() for one in found]
            text += f", answers as the float model's from {100 * same[0]:.1f} to {100 * same[1]:.1f} %"
        parts.append(f"'{goal.name}' {text}")
    held = "those" if len(judges) == samples.count else f"{len(judges)} held out"
    return f"finetune: {steps} steps on {samples.count} samples; on {held}: {'; '.join(parts)}"


def _answers(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits.reshape(len(logits), -1).argmax(axis=1))
