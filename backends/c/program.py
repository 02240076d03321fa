"""The Program: everything that the emitter prints, decided. Frozen data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeAlias

import numpy as np

from qir.backends.c.ports import Port
from qir.backends.c.stored import Stored
from qir.errors import UnsupportedError
from qir.ir.dtype import DType

CTYPES: dict[str, str] = {
    "float32": "float", "float64": "double", "bool": "uint8_t",
    "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t",
}  # fmt: skip
SHORT: dict[str, str] = {
    "float32": "f32", "float64": "f64", "bool": "b8", "int8": "s8", "int16": "s16", "int32": "s32", "int64": "s64",
    "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
}  # fmt: skip
"""How an element type is spelt inside a kernel's name."""


def ctype(dtype: DType, *, node: str | None = None, tensor: str | None = None) -> str:
    """The C type that holds one element.

    Raises:
        UnsupportedError: for types that the C backend does not store (16-bit floats, strings, complex numbers, ...).
    """
    if dtype.name not in CTYPES:
        raise UnsupportedError(
            f"the C backend has no type for {dtype}", node=node, tensor=tensor,
            fix="Convert it to float32 or an integer",
        )  # fmt: skip
    return CTYPES[dtype.name]


@dataclass(frozen=True)
class Input:
    """A kernel's argument: a pointer to the bytes of a value, less its first `skip` elements, only read.

    `beside`: element i is read for element i of the result, and for no other.
    """

    value: str
    skip: int = 0
    beside: bool = False


@dataclass(frozen=True)
class Output:
    """A kernel's argument: a pointer to the bytes of a value, less its first `skip` elements, which the call writes."""

    value: str
    skip: int = 0


@dataclass(frozen=True, eq=False)
class Data:
    """A kernel's argument: a pointer to a constant array (flash).

    Attributes:
        array: contiguous, of the numpy type whose C type the kernel's parameter has.
        role: what it is, for the emitted comment (weights, bias, table, ...).
    """

    array: np.ndarray
    role: str = "constant"


@dataclass(frozen=True)
class Scalar:
    """A kernel's argument: a number. `kind` is its C type: int32_t, size_t, float, double, ..."""

    value: int | float
    kind: str = "int32_t"


Field: TypeAlias = "int | float | tuple[Field, ...]"


@dataclass(frozen=True)
class Struct:
    """A kernel's argument: a pointer to a constant struct (flash).

    Attributes:
        kind: name of the struct type, defined in the family's header.
        fields: (field name, value) in the order of the definition; floats are float32; tuples fill arrays or structs.
    """

    kind: str
    fields: tuple[tuple[str, Field], ...]


@dataclass(frozen=True)
class Scratch:
    """A kernel's argument: a pointer to `nbytes` of the arena that only this call uses (`void *` parameter)."""

    nbytes: int
    name: str = ""


Arg: TypeAlias = Input | Output | Data | Scalar | Struct | Scratch


@dataclass(frozen=True)
class Parts:
    """What a kernel's template has in many sizes, of which a network is given those that its calls come to.

    Attributes:
        macro: that lists them in the emitted code: macro(each) is each(part) for one after the other.
        needed: what arguments of a call come to, each part in C.
    """

    macro: str
    needed: Callable[[tuple[Arg, ...]], frozenset[str]]


@dataclass(frozen=True)
class Kernel:
    """One instance of a kernel source file.

    Attributes:
        function: the function's name in the file.
        source: the file.
        name: the function's name once emitted; "" keeps `function`. Every identifier of the file that starts with
            the part of `function` left of "__" is renamed alike, so helpers follow.
        substitutions: (identifier of the file, C text to put for it).
        headers: local ones that the substitutions need, besides those that the file includes.
        parts: of which there are those that calls need.
    """

    function: str
    source: Path
    name: str = ""
    substitutions: tuple[tuple[str, str], ...] = ()
    headers: tuple[Path, ...] = ()
    parts: Parts | None = None

    @property
    def emitted(self) -> str:
        return self.name or self.function


@dataclass(frozen=True)
class Call:
    """One call of a kernel.

    Attributes:
        kernel, args: what is called with what.
        node: name of the node it computes.
        op: the node's operator.
        macs: multiply-accumulates.
        origin: names in the user's model.
        pieces: arguments of calls of the same kernel on parts of the operands, which may run at once and do together
            what the call does; () where it is not cut up.
    """

    kernel: Kernel
    args: tuple[Arg, ...]
    node: str
    op: str = ""
    macs: int = 0
    origin: tuple[str, ...] = ()
    pieces: tuple[tuple[Arg, ...], ...] = ()
    joined: bool = False

    @property
    def made(self) -> tuple[tuple[Arg, ...], ...]:
        """The arguments with which the kernel is called: those of the pieces, or its own."""
        return self.pieces or (self.args,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Values whose bytes it is given to read."""
        return tuple(dict.fromkeys(arg.value for arg in self.args if isinstance(arg, Input)))

    @property
    def writes(self) -> tuple[str, ...]:
        """Values whose bytes it writes."""
        return tuple(dict.fromkeys(arg.value for arg in self.args if isinstance(arg, Output)))

    @property
    def constants(self) -> tuple[Data | Struct, ...]:
        """Arrays and structs that it is given."""
        return tuple(arg for args in self.made for arg in args if isinstance(arg, (Data, Struct)))

    @property
    def scratch(self) -> tuple[str, ...]:
        """Names of the buffers that it alone uses."""
        return tuple(arg.name for args in self.made for arg in args if isinstance(arg, Scratch))


def turns(calls: Sequence[Call]) -> list[tuple[Call, ...]]:
    """The calls in order: those that are joined together, each other one alone."""
    found: list[tuple[Call, ...]] = []
    for number, call in enumerate(calls):
        if number and calls[number - 1].joined:
            found[-1] += (call,)
        else:
            found.append((call,))
    return found


@dataclass(frozen=True)
class Buffer:
    """Bytes that one or more values share.

    Attributes:
        name: the value that opened it.
        nbytes: size.
        place: arena; input or output where the calls reach it through the caller's pointer. Codes of a quantized border
            have an offset too: net_run keeps them in the arena, net_run_q leaves them with the caller.
        offset: bytes from the arena's start.
        first, last: numbers of the calls between which it holds something (-1: before the first call).
        port: number of the program's input or output, -1 for the arena.
    """

    name: str
    nbytes: int
    place: str = "arena"
    offset: int = 0
    first: int = 0
    last: int = 0
    port: int = -1


@dataclass(frozen=True)
class Choice:
    """Why a node is computed as it is.

    Attributes:
        node: its name.
        kernel: the C function.
        refused: (variant, why not), slower ones included.
        variant: the one that was chosen, by its title.
        cycles: of the call by the table of costs; infinite for kernels that are not in it.
    """

    node: str
    kernel: str
    refused: tuple[tuple[str, str], ...] = ()
    variant: str = ""
    cycles: float = inf

    @property
    def text(self) -> str:
        """In words, the refused ones on lines of their own."""
        about = "" if self.cycles == inf else f" (about {round(self.cycles):,} cycles)"
        return "\n".join([f"{self.node}: {self.kernel}{about}", *(f"    not {v}: {why}" for v, why in self.refused)])


@dataclass(frozen=True)
class Program:
    """A network as a straight list of kernel calls over one arena.

    Attributes:
        inputs, outputs: the interface.
        calls: in execution order, borders excluded.
        buffers: every buffer, scratch included.
        values: value to the index of its buffer.
        stored: value to how it lies in memory; the caller's side of quantized borders included.
        arena_bytes: size of the arena.
        arena_lower_bound: the most bytes alive at once: no placement needs less.
        alignment: of the arena and of every buffer in it.
        requantization: how accumulators become codes: in float32, or fixed, by integers alone.
        choices: the kernel of each node, and why.
        source_hash: of the model this came from.
        target: its name.
        processor: the instruction set without which it does not run, or portable.
        threads: most pieces of a call; above 1 the caller can give threads to run them on.
        repeated_macs: multiply-accumulates that strips do a second time.
        io: how the caller gives inputs and takes outputs; see qir.backends.c.ports.
        alternatives: plans of the same network for processors with more, best first: the code chooses at run time.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    calls: tuple[Call, ...]
    buffers: tuple[Buffer, ...]
    values: Mapping[str, int]
    stored: Mapping[str, Stored]
    arena_bytes: int
    arena_lower_bound: int
    alignment: int = 16
    requantization: str = "float32"
    choices: tuple[Choice, ...] = field(default=())
    source_hash: str = ""
    target: str = "portable"
    processor: str = "portable"
    threads: int = 1
    repeated_macs: int = 0
    io: str = "model"
    alternatives: tuple[Program, ...] = ()

    @property
    def ports(self) -> tuple[Port, ...]:
        """Inputs, then outputs."""
        return (*self.inputs, *self.outputs)

    @property
    def states(self) -> tuple[Port, ...]:
        """Inputs whose values are kept from run to run."""
        return tuple(port for port in self.inputs if port.state)

    @property
    def plans(self) -> tuple[Program, ...]:
        """Every plan among which the code chooses, best first; itself last."""
        return (*self.alternatives, self)

    @property
    def data(self) -> tuple[Data, ...]:
        """Constant arrays that the calls of all plans use, equal ones once."""
        found: dict[tuple[str, bytes], Data] = {}
        for plan in self.plans:
            for call in plan.emitted_calls:
                for arg in call.constants:
                    if isinstance(arg, Data):
                        found.setdefault(data_key(arg), arg)
        return tuple(found.values())

    @property
    def every_call(self) -> tuple[Call, ...]:
        """Calls of net_run in execution order, borders included."""
        return (*self.entry, *self.calls, *self.leave)

    @property
    def emitted_calls(self) -> tuple[Call, ...]:
        """Calls of net_run, then those that net_run_q alone makes."""
        return (*self.every_call, *(port.reorder for port in self.ports if port.reorder))

    @property
    def entry(self) -> tuple[Call, ...]:
        """The borders that turn real inputs into codes."""
        return tuple(port.border for port in self.inputs if port.border)

    @property
    def leave(self) -> tuple[Call, ...]:
        """The borders that turn codes into real outputs."""
        return tuple(port.border for port in self.outputs if port.border)

    @property
    def isas(self) -> tuple[str, ...]:
        """Instruction sets of the kernels, as their names say: right of the double underscore."""
        return tuple(dict.fromkeys(call.kernel.emitted.rpartition("__")[2] for call in self.emitted_calls))

    @property
    def weight_bytes(self) -> int:
        return sum(data.array.nbytes for data in self.data)

    @property
    def macs(self) -> int:
        return sum(call.macs for call in self.calls)


def data_key(data: Data) -> tuple[str, bytes]:
    """Equal for arrays that may share their bytes."""
    return (data.array.dtype.str, data.array.tobytes())
