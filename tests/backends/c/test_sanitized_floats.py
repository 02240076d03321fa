"""Float kernels under the address and undefined-behaviour sanitizers, on shapes with tails, gaps and borders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from graphs import Case, case, joined
from onnx_results import results
from test_conv_f32 import reals
from test_recurrent import recurrent

from qir.backends.c import compile_c


def cases() -> list[Case]:
    pads = {"strides": (2, 1), "dilations": (2, 1), "pads": (2, 1, 1, 0)}
    window = {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 1, 2, 0), "ceil_mode": 1}
    image = reals(0, (2, 6, 7, 5))
    axis = np.array(1)
    return [
        case("Conv", (image, reals(1, (10, 3, 3, 2)), reals(2, (10,))), group=2, **pads),
        case("Conv", (image, reals(1, (10, 3, 3, 2))), (0, 1), group=2, **pads),
        case("Conv", (reals(3, (1, 3, 4, 4, 3)), reals(4, (19, 3, 2, 2, 2)))),
        case("Conv", (reals(5, (1, 21, 6, 6)), reals(6, (21, 1, 3, 3))), group=21, **pads),
        case("Conv", (reals(7, (1, 5, 9)), reals(8, (11, 5, 1)))),
        case("ConvTranspose", (image, reals(9, (6, 5, 3, 2))), group=2, **pads),
        case("ConvTranspose", (image, reals(9, (6, 5, 3, 2))), (0, 1), group=2, **pads),
        case("Gemm", (reals(10, (7, 5)), reals(11, (7, 13)), reals(12, (13,))), transA=1),
        case("MatMul", (reals(13, (3, 1, 5, 9)), reals(14, (2, 9, 11))), (0, 1)),
        case("MatMul", (reals(15, (66, 9)), reals(16, (9, 3)))),
        case("AveragePool", (image,), count_include_pad=1, **window),
        case("MaxPool", (image,), outputs=2, **window),
        case("GlobalMaxPool", (image,)),
        case("Softmax", (image,), axis=1),
        case("LayerNormalization", (reals(17, (3, 13)), reals(18, (13,)), reals(19, (13,))), outputs=3),
        case("InstanceNormalization", (image, reals(20, (6,)), reals(21, (6,)))),
        case("LRN", (image,), size=3),
        case("TopK", (image, np.array([3])), outputs=2, axis=1),
        case("CumSum", (image, axis), reverse=1),
        case("ArgMax", (image,), axis=1, keepdims=0),
        case("GridSample", (image, 3 * reals(22, (2, 4, 3, 2))), (0, 1), mode="cubic", padding_mode="reflection"),
        case("QuantizeLinear", (image * 1e30, np.array(0.5, np.float32), np.array(3, np.uint8))),
        case("DFT", (reals(23, (1, 9, 2)), None, axis)),
        *(recurrent(op, 24, direction="bidirectional", hidden=11) for op in ("LSTM", "GRU", "RNN")),
    ]  # fmt: skip


@pytest.mark.slow
def test_no_kernel_leaves_its_bounds(any_float_target: str, compiler: str, tmp_path: Path) -> None:
    graph, builder = joined(cases(), [results(one) for one in cases()])
    vectors = [(builder.feeds, builder.wanted(list(graph.outputs)))]
    module = compile_c(graph, target=any_float_target, test_vectors=vectors)
    flags = ["-std=c99", "-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    folder = module.save(tmp_path)
    subprocess.run([compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test", "-lm"], cwd=folder, check=True)
    done = subprocess.run(["./test"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[:4000]
