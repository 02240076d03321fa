"""Targets of the C backend: what runs on codes, and which instruction sets the emitted code may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from qir.backends.c.build import ARM_TOOLS, RISCV_TOOLS, Tools
from qir.backends.c.costs import DEFAULTS, Costs
from qir.backends.c.isas import AVX2, AVX512VNNI, AVX512VPOPCNTDQ, AVXVNNI, DOTPROD, I8MM, on_this_processor
from qir.errors import RecipeError
from qir.ir.dtype import INT16
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops.elementwise import FUNCTIONS
from qir.target import TARGETS, IntegerRule, Requantization, Target, register_target


def _conv(node: Node, graph: Graph) -> str | None:
    kind = graph.types.get(node.inputs[0])
    if isinstance(kind, TensorType) and kind.shape is not None and not 3 <= len(kind.shape) <= 5:
        return "the C kernels take 1 to 3 spatial axes"
    return None


def _gemm(node: Node, graph: Graph) -> str | None:
    if node.attr("transA", 0) or node.attr("alpha", 1.0) != 1.0 or (node.input(2) and node.attr("beta", 1.0) != 1.0):
        return "the integer kernel takes no transA, alpha or beta"
    bias = graph.value(node.input(2)) if node.input(2) else None
    if node.input(2) and (bias is None or (bias.ndim > 1 and bias.shape[0] != 1)):
        return "its third operand is not a bias"
    return None


def _matmul(node: Node, graph: Graph) -> str | None:
    weight = graph.value(node.inputs[1])
    return "its constant is no matrix" if weight is not None and weight.ndim != 2 else None


def _unary(node: Node, graph: Graph) -> str | None:
    rest = [graph.value(name) for name in node.inputs[1:] if name]
    if any(value is None or value.size != 1 for value in rest):
        return "it is no function of one number"
    return None


def _mean(node: Node, graph: Graph) -> str | None:
    return None if not node.input(1) or graph.value(node.input(1)) is not None else "its axes are not constant"


def _layernorm(node: Node, graph: Graph) -> str | None:
    kind = graph.types.get(node.inputs[0])
    rank = len(kind.shape) if isinstance(kind, TensorType) and kind.shape is not None else 0
    if node.attr("axis", -1) not in (-1, rank - 1) or any(node.outputs[1:]):
        return "the integer kernel normalizes the last axis alone and gives no statistics"
    given = [graph.value(name) for name in node.inputs[1:] if name]
    return "its scale and bias are computed" if any(value is None for value in given) else None


def _max_pool(node: Node, graph: Graph) -> str | None:
    return "indices are asked for" if len(node.outputs) > 1 and node.outputs[1] else _conv(node, graph)


def _resize(node: Node, graph: Graph) -> str | None:
    return None if node.attr("mode", "nearest") == "nearest" else "interpolation runs in float"


def _pad(node: Node, graph: Graph) -> str | None:
    filler = graph.value(node.input(2)) if node.input(2) else None
    if node.input(2) and (filler is None or filler.reshape(-1)[0] != 0):
        return "it pads with something other than zero"
    return None


_BOTH = IntegerRule("own", inputs=(0, 1))
_SUM = replace(_BOTH, takes_16_bits=True)
_FUNCTIONS = (*(name for name, function in FUNCTIONS.items() if function.on_codes), "PRelu", "Pow")
_MOVES = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "DepthToSpace", "SpaceToDepth",
          "Split", "Expand", "Tile")  # fmt: skip

INTEGER: Mapping[str, IntegerRule] = MappingProxyType({
    "Conv": IntegerRule("weighted", accepts=_conv, float_output=True),
    "ConvTranspose": IntegerRule("weighted", accepts=_conv, float_output=True),
    "Gemm": IntegerRule("weighted", accepts=_gemm, float_output=True),
    "MatMul": IntegerRule("weighted", accepts=_matmul, float_output=True, two_activations=True),
    "Add": _SUM,
    "Sub": _SUM,
    "Mul": _BOTH,
    "Concat": IntegerRule("own", inputs=None),
    "Where": IntegerRule("own", inputs=(1, 2)),
    "AveragePool": IntegerRule("own", accepts=_conv),
    "GlobalAveragePool": IntegerRule("own", takes_16_bits=True),
    "ReduceMean": IntegerRule("own", accepts=_mean, takes_16_bits=True),
    "LayerNormalization": IntegerRule("own", accepts=_layernorm, takes_16_bits=True),
    **dict.fromkeys(_FUNCTIONS, IntegerRule("own", accepts=_unary)),
    "Sigmoid": IntegerRule("own", range=(0.0, 1.0)),
    "Softmax": IntegerRule("own", float_output=True, range=(0.0, 1.0)),
    "Tanh": IntegerRule("own", range=(-1.0, 1.0)),
    **dict.fromkeys(_MOVES, IntegerRule("same")),
    "MaxPool": IntegerRule("same", accepts=_max_pool),
    "Resize": IntegerRule("same", accepts=_resize),
    "Pad": IntegerRule("same", accepts=_pad),
})  # fmt: skip
"""What every C target runs on codes: portable kernels take all of it, so instruction sets change speed, not results."""


_BIT_PRODUCTS: Mapping[str, int] = MappingProxyType({"avx512vnni": 1, "i8mm": 1, "neon": 5})
"""By the best instruction set, where it is not 2: above so many pairs of bits a product, products of unpacked codes
take less time (rows "bits" of `qir bench kernels`; on ARM by instructions counted)."""


@dataclass(frozen=True)
class CTarget:
    """How C code is emitted for a target.

    Attributes:
        name: as the user writes it.
        isas: whose kernels may be used besides portable C, best first.
        flags: compiler flags for the whole network; kernels written for an instruction set need none.
        alignment: of the arena and its buffers, bytes.
        description: one line for help texts.
        costs: by which the cheapest kernel is chosen.
        dispatch: the code holds plans for each of `isas` and for none, and chooses at run time.
        threads: heavy calls are cut into up to so many pieces, for threads that the caller may give.
        spare_bytes: that constants may take beyond those of kernels whose weights do not grow; None is any number.
        max_ram: bytes of the arena to get down to by strips of rows, some of which are computed twice.
        requantization: as of Target, where nothing else is asked for.
        io: how the caller gives inputs and takes outputs; see qir.backends.c.ports.
        state: (output, input) pairs: the output is the input's value in the next run.
        tools: a compiler for a microcontroller, which the flags are for; None is the system's. On such, layers that run
            on codes give codes.
    """

    name: str
    isas: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    alignment: int = 16
    description: str = ""
    costs: Costs = field(default_factory=lambda: DEFAULTS, repr=False, compare=False)
    dispatch: bool = False
    threads: int = 1
    spare_bytes: int | None = None
    max_ram: int | None = None
    requantization: Requantization = "float32"
    io: str = "model"
    state: tuple[tuple[str, str], ...] = ()
    tools: Tools | None = None

    @property
    def bit_products(self) -> int:
        """As of Target; on microcontrollers counting bits takes less time than unpacking codes (of w2a2)."""
        if self.tools is not None:
            return 8
        return _BIT_PRODUCTS.get(self.isas[0] if self.isas else "", 2)

    @property
    def bit_channels(self) -> int:
        """As of Target; on vectors that are fast on bytes, few channels take less time so."""
        return 8 if not self.isas or self.isas[0] == "neon" else 32

    @property
    def binary_channels(self) -> int:
        """As of Target; AVX2 has a kernel whose lanes are pixels (w1a1 of a ResNet-8)."""
        return 8 if "avx2" in self.isas else self.bit_channels


C_TARGETS: dict[str, CTarget] = {}


def _cycles(name: str, graph: Graph) -> dict[str, float]:
    """Of the calls of a network of stage INT, by the table of costs."""
    from qir.backends.c.dispatch import choices  # which need the targets
    from qir.backends.c.planning.plan import cycles

    return cycles(graph, choices(c_target(name))[0])


def register_c_target(row: CTarget) -> CTarget:
    """Adds a target of the C backend, also to those that passes see."""
    isas = (*row.isas, "portable")
    register_target(Target(row.name, "c", INTEGER, activation16=INT16, weight_bits=(8, 4, 3, 2),
                           few_values=("ternary",),
                           activation_bits=(8, 16), bit_products=row.bit_products,
                           bit_channels=row.bit_channels, binary_channels=row.binary_channels,
                           small=row.tools is not None, requantization=row.requantization,
                           real_results=row.tools is None, isas=isas, work=partial(_cycles, row.name),
                           description=row.description))  # fmt: skip
    C_TARGETS[row.name] = row
    return row


register_c_target(CTarget("portable", description="C99 for any processor"))
register_c_target(CTarget("x86-avx2", ("avx2",), AVX2.flags, 64, "C for x86 processors with AVX2 and FMA"))
register_c_target(CTarget("x86-avxvnni", ("avxvnni", "avx2"), AVXVNNI.flags, 64, "C for x86 processors with AVX-VNNI"))
register_c_target(
    CTarget("x86-avx512vnni", ("avx512vnni", "avx2"), AVX512VNNI.flags, 64, "C for x86 processors with AVX512-VNNI")
)
register_c_target(
    CTarget("x86-avx512vpopcntdq", ("avx512vpopcntdq", "avx512vnni", "avx2"), AVX512VPOPCNTDQ.flags, 64,
            "C for x86 processors with AVX512-VNNI and AVX512-VPOPCNTDQ, which counts bits")
)  # fmt: skip
register_c_target(
    CTarget("x86", ("avx512vpopcntdq", "avx512vnni", "avxvnni", "avx2"), (), 64, dispatch=True,
            description="C for any x86 processor: kernels for AVX2, AVX-VNNI and AVX512, chosen at run time")
)  # fmt: skip
register_c_target(CTarget("armv7-neon", ("neon",), ("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"), 64,
                          "C for 32-bit ARM with NEON"))  # fmt: skip
register_c_target(CTarget("arm-neon", ("neon", "asimd"), (), 64, "C for 64-bit ARM"))
register_c_target(
    CTarget("arm-neon-dotprod", ("dotprod", "neon", "asimd"), DOTPROD.flags, 64,
            "C for 64-bit ARM with dot products (Armv8.2)")
)  # fmt: skip
register_c_target(
    CTarget("arm-neon-i8mm", ("i8mm", "dotprod", "neon", "asimd"), I8MM.flags, 64,
            "C for 64-bit ARM with 8-bit matrix products")
)  # fmt: skip
for _core, _words, _flags, _isas in (
    ("m0", "M0 and M0+, without an FPU", (), ()),
    ("m3", "M3, without an FPU", (), ()),
    ("m4", "M4 with FPU", ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), ("dsp",)),
    ("m7", "M7 with FPU", ("-mfloat-abi=hard", "-mfpu=fpv5-d16"), ("dsp",)),
    ("m33", "M33 with DSP extension and FPU", ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), ("dsp",)),
    ("m55", "M55 with FPU and Helium", ("-mfloat-abi=hard",), ("mve", "dsp")),
):
    register_c_target(
        CTarget(f"cortex-{_core}", _isas,
                (f"-mcpu=cortex-{_core}", "-mthumb", *_flags), description=f"C for ARM Cortex-{_words}",
                requantization="float32" if _flags else "fixed",
                tools=ARM_TOOLS)
    )  # fmt: skip
register_c_target(
    CTarget("riscv32", (), ("-march=rv32imac", "-mabi=ilp32"), requantization="fixed", tools=RISCV_TOOLS,
            description="C for 32-bit RISC-V without an FPU (RV32IMAC)")
)  # fmt: skip
register_c_target(
    CTarget("native", on_this_processor(), ("-march=native",), 64, "C for the processor that compiles the network")
)


def c_target(name: str) -> CTarget:
    """The target of a name; one that was registered with passes alone is built with the compiler's own flags.

    Raises:
        RecipeError: where there is none.
    """
    if name in C_TARGETS:
        return C_TARGETS[name]
    found = TARGETS.get(name)
    if found is None or found.backend != "c":
        choices = ", ".join(sorted(C_TARGETS))
        raise RecipeError(f"'{name}' is no target of the C backend", fix=f"Choose one of {choices}")
    return CTarget(name, found.isas, description=found.description)
