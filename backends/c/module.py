"""A compiled network: its files, and the same network running in this process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from qir.backends.c.boards import EXAMPLES, example_files
from qir.backends.c.build import Files, Library, Tools, shared_library, text_size
from qir.backends.c.emitting.emit import emit, names_of
from qir.backends.c.emitting.extras import extra_files
from qir.backends.c.emitting.interface import is_quantized, parameters, state_bytes
from qir.backends.c.emitting.names import Names
from qir.backends.c.emitting.packages import layout, packaged, single_file
from qir.backends.c.isas import on_this_processor, require
from qir.backends.c.ports import Port
from qir.backends.c.program import Program
from qir.errors import DataError, OutputError, QirError
from qir.ir.dtype import DType

Vectors = Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]]

_ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class CModule:
    """A network as C.

    Attributes:
        program: what was planned.
        name: of the model.
        flags: compiler flags that the target's kernels need.
        tools: the compiler where another processor is meant.
        stand_in: the plan that runs here where the network's own kernels are for another processor only.
        vectors: (inputs, expected outputs) that the emitted main.c checks.
    """

    program: Program
    name: str
    flags: tuple[str, ...] = ()
    vectors: Vectors = field(default=())
    tools: Tools | None = None
    stand_in: Program | None = None

    @cached_property
    def played(self) -> CModule:
        """What runs on this processor: itself, or the plan that stands in for it and gives the same bits."""
        return self if self.stand_in is None else replace(self, program=self.stand_in, stand_in=None)

    @cached_property
    def sources(self) -> Files:
        """File name to content of what a program needs: header, code, kernels and weights, as they are built here."""
        weights = "auto" if sys.byteorder == "little" else "c"
        return MappingProxyType(emit(self.program, self.name, weights))

    @property
    def flags_here(self) -> tuple[str, ...]:
        """Compiler flags to run it on this system: none of those for microcontrollers."""
        return () if self.tools else self.flags

    @property
    def names(self) -> Names:
        """The C names."""
        return names_of(self.program, self.name)

    def files(
        self, weights: str = "auto", example: str = "", package: str = "cmake", single: bool = False
    ) -> dict[str, str | bytes]:
        """File name to content of everything that is emitted; arguments and errors as `save`."""
        plain = weights == "auto" and (single or layout(package).plain)
        sources = emit(self.program, self.name, "c" if plain else weights)
        sources = single_file(sources, self.names.prefix) if single else sources
        extras = extra_files(self.program, self.names, self.vectors, self.flags, sources)
        files = packaged(package, sources, extras, self.program, self.names, self.flags)
        if example not in ("", *EXAMPLES) or (example and (package not in ("cmake", "make") or weights == "blob")):
            raise OutputError(f"there is no example '{example}' for package {package} and weights {weights}",
                              fix=f"Choose one of {', '.join(EXAMPLES)}, for cmake or make, without blob")  # fmt: skip
        if example:
            files |= example_files(self.program.target, self.names, self.flags, sources)
        return files

    def save(
        self, folder: str | os.PathLike[str], weights: str = "auto", example: str = "", package: str = "cmake",
        single: bool = False,
    ) -> Path:  # fmt: skip
        """Writes the files: all of them before the first takes its place, and each appears whole.

        Args:
            folder: made where it is not there; of files in it only those of other forms of the weights are removed.
            weights: how constant arrays are written: "c", "asm" (a .bin file that gcc and clang include by an
                assembler file), "embed" (a .bin file that C23's #embed includes), "blob" (a .bin file that is given to
                net_init, which checks it), or "auto": "c" up to a mebibyte, else
                "asm" for cmake and make. The numbers are the same.
            example: "qemu" adds a folder of that name, whose `make run` builds main.c for the target's core and runs it
                in an emulator.
            package: the layout: cmake, make, arduino, zephyr, esp-idf or cmsis-pack.
            single: one source file and one header.

        Raises:
            OutputError: where the folder cannot be written, for other forms, and for targets without that example.
        """
        target, files = Path(folder), self.files(weights, example, package, single)
        stale = {f"{self.names.prefix}_weights{ending}" for ending in (".c", ".S", ".bin")} - set(files)
        written: list[tuple[str, Path]] = []
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=target, delete=False) as file:
                    written.append((file.name, target / name))
                    file.write(content if isinstance(content, bytes) else content.encode())
                os.chmod(file.name, 0o644)
            while written:
                os.replace(*written[0])
                written.pop(0)
            for name in stale:
                (target / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write '{target}' ({error})", fix="Choose a folder that you may write") from error
        finally:
            for left, _ in written:
                Path(left).unlink(missing_ok=True)
        return target

    @property
    def arena_bytes(self) -> int:
        """Working memory that the caller must give."""
        return self.program.arena_bytes

    @property
    def arena_lower_bound(self) -> int:
        """The most bytes alive at once: no placement of these buffers needs less."""
        return self.program.arena_lower_bound

    @property
    def weight_bytes(self) -> int:
        """Bytes of constant arrays."""
        return self.program.weight_bytes

    @property
    def code_bytes(self) -> int | None:
        """Bytes of machine code as the target's compiler makes at -Os; None where it cannot be measured."""
        return text_size(self.sources, f"{self.names.prefix}.c", self.flags, self.tools)

    def explain(self) -> str:
        """Which kernel computes each node, what that costs by the table, and why others were refused.

        Plan by plan where there are several.
        """
        lines = []
        for plan in self.program.plans:
            lines += [f"On processors with {plan.processor}:"] if self.program.alternatives else []
            lines += [choice.text for choice in plan.choices]
        return "\n".join(lines)

    @property
    def here(self) -> Program:
        """The plan that runs on this processor."""
        return next((plan for plan in self.program.alternatives if plan.processor in on_this_processor()), self.program)

    @cached_property
    def library(self) -> Library:
        """The network built by the system's compiler, for this processor whatever the target is.

        Raises:
            BuildError: where no compiler is found or it refuses the code, or this processor lacks what it needs.
        """
        require(self.program.isas, self.name)
        shim = {f"{self.names.prefix}_bench.c": _bench(self.program, self.names)}
        return Library(shared_library({**self.sources, **shim}, self.flags_here))

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs net_run on real inputs.

        Args:
            feeds: one array an input, of its type and shape.

        Raises:
            DataError: where an input is missing, unknown or does not fit.
            BuildError: as `library`.
        """
        return self.played._run(feeds, codes=False)

    def run_codes(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs net_run_q: quantized inputs and outputs are codes. The same as `run` where none is."""
        return self.played._run(feeds, codes=True)

    def benchmark(self, feeds: Mapping[str, np.ndarray], n: int = 100) -> float:
        """Median seconds of one net_run over `n` runs, timed in C, one thread."""
        if n < 1:
            raise DataError(f"benchmark needs at least one run, not {n}")
        return statistics.median(self.timings(feeds, n + 1)[1:])

    def timings(self, feeds: Mapping[str, np.ndarray], n: int) -> list[float]:
        """Seconds of each of `n` runs of net_run, timed in C, one thread."""
        arrays, arguments, results = self.played._arguments(feeds, codes=False)
        seconds = self.played.library.seconds(f"{self.names.prefix}_bench", n, arguments)
        del arrays, results  # the C had only their addresses
        return seconds

    def reset(self) -> None:
        """The next run starts anew: every value that is kept from run to run becomes zero."""
        self.played._kept.fill(0)

    @cached_property
    def _kept(self) -> np.ndarray:
        """The net_state of `run`."""
        return aligned(state_bytes(self.program))

    def _run(self, feeds: Mapping[str, np.ndarray], codes: bool) -> dict[str, np.ndarray]:
        arrays, arguments, results = self._arguments(feeds, codes)
        suffix = "_q" if codes and is_quantized(self.program) else ""
        status = self.library.call(f"{self.names.prefix}_run{suffix}", arguments)
        if status:
            raise QirError(f"{self.name}: {self.library.text(f'{self.names.prefix}_error', status)}")
        ports = {port.name: port for port in self.program.outputs}
        found = {name: ports[name].outward(array, codes).copy() for name, array in results.items()}
        del arrays
        return found

    def _arguments(
        self, feeds: Mapping[str, np.ndarray], codes: bool
    ) -> tuple[list[np.ndarray], list[int], dict[str, np.ndarray]]:
        """All memory that a run uses, what it is given, and its results."""
        program = self.program
        known = [port.name for port in program.inputs if not port.state]
        for name in feeds:
            if name not in known:
                raise DataError("there is no such input", tensor=name, fix=f"The inputs are {', '.join(known)}")
        arrays = [aligned(self.arena_bytes), *([self._kept] if program.states else [])]
        results = {}
        for number, port in enumerate(program.ports):
            if port.state:
                continue
            array = np.zeros(port.given_shape, port.given(codes).numpy)
            if program.io == "arena":
                start = program.buffers[program.values[port.value]].offset
                array = arrays[0][start : start + array.nbytes].view(array.dtype).reshape(array.shape)
            else:
                arrays.append(array)
            if number >= len(program.inputs):
                results[port.name] = array
                continue
            kind = port.code if codes and port.code is not None else port.dtype
            given = fitting(port, feeds.get(port.name), kind)
            array[...] = port.inward(given, codes)
        return arrays, [array.ctypes.data for array in arrays], results


def aligned(nbytes: int) -> np.ndarray:
    """[nbytes] zeros at a multiple of what any kernel wants."""
    block = np.zeros(max(nbytes, 1) + _ALIGNMENT, np.uint8)
    start = -block.ctypes.data % _ALIGNMENT
    return block[start : start + max(nbytes, 1)]


def fitting(port: Port, given: np.ndarray | None, dtype: DType) -> np.ndarray:
    """An input as the C takes it: contiguous, of the type and shape of its port.

    Raises:
        DataError: where it is missing or does not fit.
    """
    if given is None:
        raise DataError("this input was not given", tensor=port.name)
    array = np.asarray(given)
    if array.shape != port.shape:
        raise DataError(f"shape {list(array.shape)} was given, {list(port.shape)} is needed", tensor=port.name)
    if array.dtype != dtype.numpy:
        if not np.can_cast(array.dtype, dtype.numpy, "same_kind"):
            raise DataError(f"type {array.dtype} was given, {dtype} is needed", tensor=port.name)
        array = array.astype(dtype.numpy)
    result = np.zeros(array.size + 1, dtype.numpy)[: array.size].reshape(array.shape)
    result[...] = array
    return result


def _bench(program: Program, names: Names) -> str:
    """C that times single runs; part of the library built here, never of what is emitted."""
    n = names.prefix
    return (
        f'#include "{n}.h"\n#include <time.h>\n\n'
        f"void {n}_bench(int count, double *seconds, {parameters(program, names, False)});\n\n"
        f"void {n}_bench(int count, double *seconds, {parameters(program, names, False)}) {{\n"
        "    struct timespec start, end;\n    int i;\n    for (i = 0; i < count; ++i) {\n"
        "        timespec_get(&start, TIME_UTC);\n"
        f"        (void){n}_run({parameters(program, names, False, types=False)});\n"
        "        timespec_get(&end, TIME_UTC);\n"
        "        seconds[i] = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;\n"
        "    }\n}\n"
    )
