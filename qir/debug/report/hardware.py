"""What computes each node, and where its bytes lie."""

from __future__ import annotations

from qir.backends.c.program import Program
from qir.backends.onnx.fusion import predict
from qir.debug.report.data import Block, KernelFacts, Memory
from qir.ir.graph import Graph


def c_kernels(program: Program) -> tuple[KernelFacts, ...]:
    """The kernel of every call, with the variants that were refused."""
    ops = {call.node: call.op for call in program.every_call}
    return tuple(
        KernelFacts(one.node, op := ops.get(one.node, ""), one.kernel, op.startswith("qir.Int") or op in _CODES or None,
                    one.refused)
        for one in program.choices
    )  # fmt: skip


_CODES = ("qir.Quantize", "qir.Dequantize", "qir.Lookup")


def onnx_kernels(graph: Graph) -> tuple[KernelFacts, ...]:
    """The operator that onnxruntime is predicted to run for every node."""
    return tuple(
        KernelFacts(row.node, row.op, row.runs_as, row.integer, ((f"integer {row.op}", row.why),) if row.why else ())
        for row in predict(graph).rows
    )


def memory(program: Program) -> Memory:
    """The arena's buffers over the calls; what the caller owns is left out."""
    bare = {("input", i) for i, port in enumerate(program.inputs) if port.border is None}
    bare |= {("output", i) for i, port in enumerate(program.outputs) if port.border is None}
    maker = {value: call.node for call in reversed(program.every_call) for value in call.writes}
    scratch = {name: call.node for call in program.every_call for name in call.scratch}
    blocks = [
        Block(one.name, scratch.get(one.name) or maker.get(one.name, ""), one.offset, one.nbytes, one.first, one.last,
              one.name in scratch)
        for one in program.buffers
        if (one.place, one.port) not in bare
    ]  # fmt: skip
    calls = tuple(call.node for call in program.calls)
    return Memory(tuple(blocks), calls, program.arena_bytes, program.arena_lower_bound)
