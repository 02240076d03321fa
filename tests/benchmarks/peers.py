"""Other runtimes, each in a process of its own that waits for its turn: what latency.py compares with.

The runtimes are no dependencies: the process may be another Python, in which they are installed. It needs nothing of
qir. A turn is a line with a number of runs on its input, and the median of their seconds on its output; one thread, the
sample is bound once, so that only inference is timed.

    python tests/benchmarks/peers.py RUNTIME MODEL SAMPLE.npy
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def _onnxruntime(model: str, sample: np.ndarray) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(sample))
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


def _openvino(model: str, sample: np.ndarray) -> Callable[[], Any]:
    import openvino

    core = openvino.Core()
    asked = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False,
             "INFERENCE_PRECISION_HINT": "f32"}  # fmt: skip
    read = core.read_model(model)
    read.reshape(sample.shape)
    request = core.compile_model(read, "CPU", asked).create_infer_request()
    request.set_input_tensor(openvino.Tensor(sample, shared_memory=True))
    return request.infer  # type: ignore[no-any-return]


def _litert(model: str, sample: np.ndarray) -> Callable[[], Any]:
    """The sample only has the right number of elements: time does not depend on values."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.resize(sample, given["shape"]).astype(given["dtype"]))
    return interpreter.invoke  # type: ignore[no-any-return]


_RUNTIMES: Mapping[str, Callable[[str, np.ndarray], Callable[[], Any]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "litert": _litert,
}


class Peer:
    """A model in a runtime, in a process on the cores of this one.

    Args:
        python: an interpreter that has the runtime.
        environment: variables to add, such as ONEDNN_MAX_CPU_ISA.

    Raises:
        RuntimeError: with what the process said last, where the runtime is missing or refuses the model.
    """

    def __init__(
        self, python: str, runtime: str, model: Path, sample: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        command = [python, __file__, runtime, str(model), str(sample)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._answer()

    def __call__(self, runs: int) -> float:
        """Median seconds of `runs` inferences."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{runs}\n")
        return float(self._answer())

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.communicate()[1].strip().splitlines()
            raise RuntimeError(said[-1] if said else f"ended with {self._process.returncode}")
        return line


def _serve(runtime: str, model: str, sample: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a runtime prints itself is no answer
    array = np.ascontiguousarray(np.load(sample))  # stays here: runtimes may keep a bare pointer to it
    invoke = _RUNTIMES[runtime](model, array)
    invoke()
    answers.write("ready\n")
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            invoke()
            seconds.append(time.perf_counter() - started)
        answers.write(f"{statistics.median(seconds)!r}\n")


if __name__ == "__main__":
    _serve(*sys.argv[1:])
