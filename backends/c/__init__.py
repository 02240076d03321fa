"""Graph to self-contained C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from qir.backends.c.costs import Costs
from qir.backends.c.dispatch import choices, joined
from qir.backends.c.kernels import Bound, Family, Variant, register_kernel
from qir.backends.c.module import CModule, Vectors
from qir.backends.c.planning.plan import plan as make_program
from qir.backends.c.ports import WAYS
from qir.backends.c.program import Program
from qir.backends.c.targets import c_target
from qir.errors import RecipeError
from qir.ir.graph import Graph

__all__ = ["Bound", "CModule", "Family", "Variant", "compile_c", "register_kernel"]


def compile_c(
    graph: Graph, *, name: str = "net", target: str = "portable", test_vectors: Vectors = (), source_hash: str = "",
    costs: Costs | None = None, threads: int = 1, max_bytes: int | None = None, max_ram: int | None = None,
    io: str = "model", state: Mapping[str, str] = MappingProxyType({}),
) -> CModule:  # fmt: skip
    """Compiles a graph to C.

    Args:
        graph: stage INT, or FLOAT with ONNX operators; every shape known.
        name: of the model: becomes the prefix of every symbol and file.
        target: what the code may use; see qir.backends.c.targets.
        test_vectors: (inputs, expected outputs) that the emitted main.c checks.
        source_hash: identifies the user's model in the emitted header.
        costs: by which kernels are chosen, instead of the defaults; see qir.backends.c.costs.
        threads: into how many pieces heavy layers are cut at most, for threads that the caller may give.
        max_bytes: of constants: faster kernels whose weights are larger than the codes are taken as far as these fit.
        max_ram: bytes of the arena: layers are computed some rows at a time as far as it takes.
        io: how the caller gives inputs and takes outputs; see qir.backends.c.ports.
        state: output to the input whose value it is in the next run.

    Raises:
        UnsupportedError: for operators and types that no kernel takes.
        ShapeError: for sizes that are not known.
        RecipeError: for fewer than one thread, for ways or states that are not there, and where the arena cannot be as
            small as `max_ram`.
    """
    if threads < 1:
        raise RecipeError(f"{threads} threads cannot run anything", fix="Give 1 or more")
    if threads > 1 and max_ram is not None:
        raise RecipeError("layers that are cut for threads are not computed in strips", fix="Leave max_ram out")
    row = replace(c_target(target), threads=threads, max_ram=max_ram, io=io, state=tuple(state.items()))
    if io not in WAYS or (io == "arena" and row.dispatch):
        raise RecipeError(f"io '{io}' cannot be had for target {target}", fix=f"Choose one of {', '.join(WAYS)}; arena "
                          "is for targets with one plan")  # fmt: skip
    row = row if costs is None else replace(row, costs=costs)

    def planned(spare_bytes: int | None) -> Program:
        targets = choices(replace(row, spare_bytes=spare_bytes))
        return joined([make_program(graph, choice, source_hash=source_hash) for choice in targets])

    far = row.tools is not None and row.isas
    here = make_program(graph, replace(row, isas=(), max_ram=None), source_hash=source_hash) if far else None
    return CModule(_fitting(planned, max_bytes), name, row.flags, test_vectors, row.tools, here)


def _fitting(planned: Callable[[int | None], Program], max_bytes: int | None) -> Program:
    """The plan with most of the larger weights whose constants fit; the one with none of them where nothing fits.

    Args:
        planned: by how many bytes constants may grow. Arrays that calls share count more than once there.
    """
    program = planned(None)
    if max_bytes is None or program.weight_bytes <= max_bytes:
        return program
    least = planned(0)
    spare = max_bytes - least.weight_bytes
    while spare > 0:
        program = planned(spare)
        if program.weight_bytes <= max_bytes:
            return program
        spare -= program.weight_bytes - max_bytes
    return least
