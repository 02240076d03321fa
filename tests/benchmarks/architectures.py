"""Networks whose speed is known everywhere, with random weights: ResNet-18 and -50 (He et al. 2015), MobileNetV1
(Howard et al. 2017). Batch normalization is folded already: convolutions have biases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class _Network:
    """Nodes and weights, layer after layer; a value is its name and its number of channels."""

    def __init__(self, size: int) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.size = size

    def add(self, op: str, *inputs: str, **attrs: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def conv(self, x: str, c: int, m: int, k: int, stride: int = 1, group: int = 1, gain: float = 2.0) -> str:
        """Padded by k // 2; weights keep the variance of `gain / 2` of what a Relu leaves."""
        weight = self.random.standard_normal((m, c // group, k, k)) * np.sqrt(gain * group / (c * k * k))
        bias = self.random.standard_normal(m) * 0.1
        return self.add("Conv", x, self.constant(weight), self.constant(bias), kernel_shape=[k, k],
                        strides=[stride, stride], pads=[k // 2] * 4, group=group)  # fmt: skip

    def relu(self, x: str) -> str:
        return self.add("Relu", x)

    def model(self, x: str, c: int, classes: int) -> onnx.ModelProto:
        """With the mean over pixels and a matrix at the end."""
        flat = self.add("Flatten", self.add("GlobalAveragePool", x))
        weight, bias = self.random.standard_normal((classes, c)) / np.sqrt(c), np.zeros(classes)
        last = self.add("Gemm", flat, self.constant(weight), self.constant(bias), transB=1)
        given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, self.size, self.size])
        made = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, classes])
        graph = helper.make_graph(self.nodes, "network", [given], [made], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet(blocks: tuple[int, ...], bottleneck: bool) -> onnx.ModelProto:
    """Blocks a stage; bottlenecks have their stride in the 3x3 convolution."""
    net = _Network(224)
    x = net.relu(net.conv("input", 3, 64, 7, 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    c = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        m = 4 * width if bottleneck else width
        for number in range(count):
            stride = 2 if stage and number == 0 else 1
            short = x if c == m and stride == 1 else net.conv(x, c, m, 1, stride, gain=1.0)
            if bottleneck:
                y = net.relu(net.conv(net.relu(net.conv(x, c, width, 1)), width, width, 3, stride))
                y = net.conv(y, width, m, 1, gain=0.5)
            else:
                y = net.conv(net.relu(net.conv(x, c, width, 3, stride)), width, m, 3, gain=0.5)
            x, c = net.relu(net.add("Add", y, short)), m
    return net.model(x, c, 1000)


def mobilenet_v1(width: float, size: int, classes: int) -> onnx.ModelProto:
    """Pairs of depthwise and 1x1 convolutions."""
    net, c = _Network(size), int(32 * width)
    x = net.relu(net.conv("input", 3, c, 3, 2))
    pairs = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
    for full, stride in pairs:
        m = int(full * width)
        x, c = net.relu(net.conv(net.relu(net.conv(x, c, c, 3, stride, group=c)), c, m, 1)), m
    return net.model(x, c, classes)


ARCHITECTURES: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "resnet18": lambda: resnet((2, 2, 2, 2), bottleneck=False),
    "resnet50": lambda: resnet((3, 4, 6, 3), bottleneck=True),
    "mobilenetv1_025_96": lambda: mobilenet_v1(0.25, 96, 2),
}
