"""Targets: what a backend can run, as data. Backends register them; passes see only `context.target`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from qir.errors import RecipeError
from qir.ir.dtype import UINT8, UINT16, DType
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops.weighted import weighted

Condition: TypeAlias = Callable[[Node, Graph], "str | None"]
"""None where a node qualifies, else the reason why not."""


def always(node: Node, graph: Graph) -> str | None:
    """The condition that every node meets."""
    return None


@dataclass(frozen=True)
class IntegerRule:
    """How a target runs an operator on integer codes.

    Attributes:
        kind: `weighted` multiplies by a constant weight; `own` gives its result codes of their own; `same` only moves
            or selects codes, its result shares its input's.
        inputs: slots of the operands that must be codes; None for all.
        accepts: further conditions on the node.
        float_output: the result may stay real (accumulators times scale).
        range: the real range of the result where the operator fixes it; codes reach up to one step below its end, so
            that their scale is a power of two.
        two_activations: a weighted operator that also runs where both operands are activations.
        takes_16_bits: operands with codes of 16 bits cost about what those of 8 do.
    """

    kind: Literal["weighted", "own", "same"]
    inputs: tuple[int, ...] | None = (0,)
    accepts: Condition = always
    float_output: bool = False
    range: tuple[float, float] | None = None
    two_activations: bool = False
    takes_16_bits: bool = False

    def data_inputs(self, node: Node) -> tuple[str, ...]:
        """The operands that must be codes."""
        names = node.inputs if self.inputs is None else [node.input(slot) for slot in self.inputs]
        return tuple(name for name in names if name)


Requantization: TypeAlias = Literal["float32", "fixed"]
"""How accumulators become codes."""

Cost: TypeAlias = Callable[[Node, Graph, bool], float]
"""Estimated nanoseconds of a node of known shapes on one thread; on codes where the last argument says so."""


@dataclass(frozen=True)
class Costs:
    """What running on codes costs and saves.

    Attributes:
        node: of a node, on codes or in float.
        border: of a value's way from reals to codes or back, by its type.
    """

    node: Cost
    border: Callable[[TensorType], float]


@dataclass(frozen=True)
class Target:
    """Somewhere a network can run.

    Attributes:
        name: as users write it.
        backend: onnx or c.
        integer: operator to the rule by which it runs on codes; others run in float.
        activation: preferred storage of 8-bit activations.
        activation16: preferred storage of 16-bit activations; int16 has its zero point at 0.
        weight_bits: widths of weights that take the room of their bits in what is emitted, falling; narrower ones take
            that of the next.
        few_values: recipes (ternary, binary, planes2, ...) whose weights take the room of their bits too.
        activation_bits: widths of activations that run as integers; wider ones run in float between conversions.
        bit_products: of a weight and an activation, bits times bits: up to so many, products run on packed bits; above,
            or where it is 0, on unpacked codes.
        bit_channels: of an input, from which on they do so; where weights and activations are binary `binary_channels`.
        small: bytes of memory count for more than the time to unpack weights.
        max_pair_sum: largest sum of two neighbouring weight codes of one sign, where the target's kernels add pairs of
            products in 16 bits (255 * 128 still fits); None where accumulation is exact.
        costs: estimates by which a pass leaves in float what codes would slow down; None where nothing is known.
        work: an estimate of what each node of a network takes by its name, in a unit of the target's own: of use as a
            share of another network's. Of targets of C: of networks of stage INT whose shapes are known.
        requantization: how accumulators become codes: in float32, or fixed, by integers alone.
        real_results: layers that run on codes may give reals: accumulators times scale.
        isas: kernel instruction sets in order of preference, ending in portable.
        description: one line for help texts.
    """

    name: str
    backend: Literal["onnx", "c"]
    integer: Mapping[str, IntegerRule]
    activation: DType = UINT8
    activation16: DType = UINT16
    weight_bits: tuple[int, ...] = (8,)
    few_values: tuple[str, ...] = ()
    activation_bits: tuple[int, ...] = (8,)
    bit_products: int = 0
    bit_channels: int = 8
    binary_channels: int = 8
    small: bool = False
    max_pair_sum: int | None = None
    costs: Costs | None = None
    work: Callable[[Graph], Mapping[str, float]] | None = None
    requantization: Requantization = "float32"
    real_results: bool = True
    isas: tuple[str, ...] = field(default=("portable",))
    description: str = ""

    def rule(self, node: Node, graph: Graph) -> IntegerRule | str:
        """The rule that lets a node run on codes, or the reason why it stays float."""
        found = self.integer.get(node.op)
        if found is None:
            return f"{self.name} has no integer {node.op}"
        refusal = found.accepts(node, graph)
        if refusal is not None:
            return refusal
        if self.requantization == "fixed" or not self.real_results:
            found = replace(found, float_output=False)
        if found.kind == "weighted" and weighted(node, graph) is None:
            if not found.two_activations:
                return "its weight is computed at run time"
            return replace(found, kind="own", inputs=(0, 1))
        return found


def requantizing(target: Target, mode: str) -> Target:
    """A target with accumulators made codes in another way.

    Raises:
        RecipeError: for unknown ways, and where the target has none to choose.
    """
    if target.backend != "c":
        raise RecipeError(f"requantization {mode} is for C, and target {target.name} makes none", fix="Leave it out")
    known = {name: name for name in get_args(Requantization)}
    if mode not in known:
        raise RecipeError(f"there is no requantization '{mode}'", fix=f"Choose one of {', '.join(known)}")
    return replace(target, requantization=known[mode])


TARGETS: dict[str, Target] = {}


def register_target(target: Target) -> Target:
    """Adds a target.

    Raises:
        RecipeError: if the name is taken.
    """
    if target.name in TARGETS:
        raise RecipeError(f"target '{target.name}' is registered twice", fix="Choose another name")
    TARGETS[target.name] = target
    return target


def target(name: str) -> Target:
    """The target of a name.

    Raises:
        RecipeError: for unknown names, with the choices.
    """
    if name not in TARGETS:
        raise RecipeError(f"target '{name}' is unknown", fix=f"Choose one of {', '.join(sorted(TARGETS))}")
    return TARGETS[name]
