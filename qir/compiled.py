"""What `qir.compile` gives: the compiled network, how to run and save it, and what became of its accuracy."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qir.backends.c.module import CModule
from qir.backends.c.program import Program
from qir.backends.onnx.fusion import FusionReport, predict
from qir.backends.onnx.module import OnnxModule
from qir.calibration import Feeds
from qir.debug.c_layers import CComparison, compare_layers
from qir.debug.compare import Rounding, compare
from qir.debug.errors import Comparison
from qir.debug.explain import explain
from qir.debug.findings import Explanation
from qir.debug.report import ReportData, check_report, report_data, report_text, write_report
from qir.debug.samples import batches_of
from qir.debug.sensitivity import Sensitivity, sensitivity
from qir.debug.trace import Trace
from qir.errors import DataError, PassError
from qir.ir.graph import Graph
from qir.passmanager.base import Pass
from qir.passmanager.instruments import Timer
from qir.recipe import Recipe
from qir.target import Target


@dataclass(frozen=True, eq=False)
class Compiled(ABC):
    """What `qir.compile` gives.

    Attributes:
        target, recipe: as compiled for.
        source: the lifted model, before any pass.
        graph: the graph that was emitted.
        passes: what was applied, in order.
        notes: what the passes found worth telling.
        timer: seconds of each pass.
        trace: every step, if asked for.
        rounding: the graphs before and after rounding.
        sample: one calibration batch; None without data.
        seconds: of the whole compilation.
    """

    target: Target
    recipe: Recipe
    source: Graph
    graph: Graph
    passes: tuple[Pass, ...]
    notes: tuple[str, ...]
    timer: Timer
    trace: Trace | None
    rounding: Rounding
    sample: Mapping[str, np.ndarray] | None
    seconds: float

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the result; whole or not at all."""

    @abstractmethod
    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the result on real inputs by name; real outputs by name."""

    def report(self) -> str:
        """What was done, layer by layer, as text."""
        measured = self.sample is not None and self.rounding.quant is not None and self.rounding.real is not None
        rows = self.layer_errors(effects=0).layers if measured else ()
        errors = {row.node: row.accumulated.sqnr for row in rows}
        return report_text(self.graph, self.target, self.timer, self.notes, self.sizes, errors)

    def layer_errors(self, data: Any = None, *, effects: int = 32) -> Comparison:
        """How far each layer is from the float model: accumulated, isolated, its effect on the outputs, its weight.

        Args:
            data: samples as for calibration; those of the first calibration batch by default.
            effects: samples on which each layer's effect on the outputs is measured; 0 leaves it out.

        Raises:
            DataError: without data, where none was given for calibration either.
            PassError: where nothing was rounded.
        """
        real, quant, samples = self._judged(data)
        return compare(real, quant, samples, effects=effects)

    def sensitivity(self, data: Any = None) -> Sensitivity:
        """What each layer alone does to the outputs, and its bytes and work: where more bits would help most.

        Arguments and errors as `layer_errors`.
        """
        return sensitivity(*self._judged(data))

    def findings(self, data: Any = None) -> Explanation:
        """What costs accuracy, why, and the repairs that were tried; see `qir.explain`. Arguments as `layer_errors`."""
        real, quant, samples = self._judged(data)
        return explain(real, quant, samples, runtime=self.target.backend == "onnx")

    def save_report(self, path: str | os.PathLike[str], data: Any = None) -> Path:
        """Writes the whole story: passes, layers, findings, histograms, kernels.

        Args:
            path: ends in .html (needs the extra `qir[report]`), .md or .json.
            data: to judge the layers on; the calibration batch by default. Without either, accuracy is left out.

        Raises:
            OutputError: for other endings, and where the file cannot be written.
            MissingDependencyError: for .html without the packages it needs.
        """
        check_report(path)
        return write_report(self.report_data(data), path)

    def report_data(self, data: Any = None) -> ReportData:
        """What `save_report` writes, as data."""
        known = self.rounding.quant is not None and (data is not None or self.sample is not None)
        found = self.findings(data) if known else None
        return report_data(
            self.rounding.quant or self.rounding.real or self.graph,
            self.trace.steps if self.trace is not None else (),
            samples=self.sample,
            comparison=None if found is None else found.comparison,
            findings=() if found is None else found.findings,
            target=self.target,
            recipe=self.recipe,
            program=self.program,
            notes=(*self.notes, *(() if found is None else found.notes)),
            sizes=self.sizes,
            seconds=self.seconds,
        )

    @property
    def program(self) -> Program | None:
        """The plan of the C; None for ONNX."""
        return None

    def _judged(self, data: Any) -> tuple[Graph, Graph, Feeds]:
        real, quant = self.rounding.real, self.rounding.quant
        if real is None or quant is None:
            raise PassError("nothing was rounded: there is nothing to compare", fix="Compile with a recipe like int8")
        if data is None and self.sample is None:
            raise DataError("there are no samples to compare on", fix="Give data, or compile with calibration=")
        return real, quant, batches_of(quant, self.sample if data is None else data)

    @property
    @abstractmethod
    def sizes(self) -> Mapping[str, int | None]:
        """Bytes by what they are for; None where they could not be measured."""

    @abstractmethod
    def operators(self) -> Counter[str]:
        """How many nodes run as each operator."""

    @abstractmethod
    def explain(self) -> str:
        """What computes each node, and why nothing faster does."""


@dataclass(frozen=True, eq=False)
class CompiledOnnx(Compiled):
    """A QDQ ONNX model."""

    module: OnnxModule = field(kw_only=True)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the .onnx file.

        Raises:
            OutputError: where it cannot be written.
        """
        return self.module.save(path)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the model in onnxruntime with all its optimizations.

        Raises:
            DataError: for missing or unfitting inputs.
        """
        return self.module.run(inputs)

    def fusion_report(self) -> FusionReport:
        """What onnxruntime will run as integers, node by node, and why the rest will not."""
        return predict(self.graph)

    def operators(self) -> Counter[str]:
        """How many nodes onnxruntime will run as each operator."""
        return self.fusion_report().operators()

    def explain(self) -> str:
        """What onnxruntime will run for each node, and why some stay float."""
        return str(self.fusion_report())

    @property
    def sizes(self) -> Mapping[str, int | None]:
        return {"model": self.module.model_bytes}


@dataclass(frozen=True, eq=False)
class CompiledC(Compiled):
    """A network as C; `module` has its files, plan and kernels."""

    module: CModule = field(kw_only=True)

    def save(
        self, path: str | os.PathLike[str], weights: str = "auto", example: str = "", package: str = "cmake",
        single: bool = False,
    ) -> Path:  # fmt: skip
        """Writes the folder of C.

        Args:
            path: of the folder.
            weights: how constant arrays are written: "c" (text that every compiler reads), "asm" (bytes beside it that
                the assembler of gcc and clang includes) or "embed" (the same by #embed, of C23): large ones build in a
                second; "blob" is a file of its own, which net_init checks and takes. "auto" is "c" up to a mebibyte,
                and "asm" beyond.
            example: "qemu" adds a folder of that name, whose `make run` builds the self-test for the core of the
                target and runs it in an emulator: for targets cortex-... and riscv32.
            package: the layout of the folder: "cmake", "make", "arduino" (a library), "zephyr" (a module), "esp-idf" (a
                component) or "cmsis-pack".
            single: kernels and weights stand in net.c: one source file and one header.

        Raises:
            OutputError: where it cannot be written, for other forms of the weights, and for targets without that
                example.
        """
        return self.module.save(path, weights, example, package, single)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Builds the C with the system's compiler (once) and runs it.

        Raises:
            DataError: for missing or unfitting inputs.
            BuildError: without a working compiler.
        """
        return self.module.run(inputs)

    def reset(self) -> None:
        """The next run starts anew: every value that is kept from run to run (`state` of compile) becomes zero."""
        self.module.reset()

    def benchmark(self, inputs: Mapping[str, np.ndarray], n: int = 100) -> float:
        """Median seconds of one inference, timed in C, one thread."""
        return self.module.benchmark(inputs, n)

    def compare_layers(
        self, inputs: Mapping[str, np.ndarray], folder: str | os.PathLike[str] | None = None, flags: Sequence[str] = ()
    ) -> CComparison:
        """Runs the C and holds the result of every kernel's call to the reference, bit for bit.

        It names the first kernel that departs, a constant that is not what qir emits, and a call that writes outside of
        its result: a wrong kernel or a miscompiled build is found in one call.

        Args:
            inputs: one array an input, as the model has it whatever `io` is; more samples than the network takes at
                once run one after another. Every run begins with the state that is given, with zeros where none is.
            folder: with the files as saved, perhaps edited: built instead of the network's own.
            flags: further compiler flags.

        Raises:
            DataError: where inputs are missing or do not fit.
            BuildError: where there is no compiler or it refuses the code.
        """
        built = None if folder is None else Path(folder)
        return compare_layers(self.module, self.graph, inputs, folder=built, flags=flags)

    @property
    def program(self) -> Program:
        """The plan of the C: calls, buffers, constants; of several the one for this processor."""
        return self.module.here

    def operators(self) -> Counter[str]:
        """How many nodes run as each operator; those of qir are integer arithmetic."""
        return Counter(node.op for node in self.graph.nodes)

    def explain(self) -> str:
        """Which kernel computes each node, and why others were refused."""
        return self.module.explain()

    @property
    def arena_bytes(self) -> int:
        """Working memory that the caller of net_run gives."""
        return self.module.arena_bytes

    @property
    def weight_bytes(self) -> int:
        """Constant arrays."""
        return self.module.weight_bytes

    @property
    def code_bytes(self) -> int | None:
        """Machine code as built on this machine; None where it cannot be measured."""
        return self.module.code_bytes

    @property
    def sizes(self) -> Mapping[str, int | None]:
        return {"weights": self.weight_bytes, "arena": self.arena_bytes,
                "arena lower bound": self.module.arena_lower_bound, "code": self.code_bytes}  # fmt: skip


def fitted(graph: Graph, sample: Mapping[str, Any], number: int = 0) -> dict[str, Any]:
    """Samples of a batch, as many as the graph takes: the leading ones, or, as far as there are, those after them."""
    fitted = {}
    for name, array in sample.items():
        shape = graph.tensor(name).shape
        size = shape[0] if shape else None
        if isinstance(size, int) and array.ndim:
            first = number * size if (number + 1) * size <= len(array) else 0
            array = array[first : first + size]
        fitted[name] = array
    return fitted
