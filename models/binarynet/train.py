"""Trains the binary network of this folder with qir's straight-through estimator and writes model.onnx beside itself.

    python models/binarynet/train.py                      # scikit-learn's digits, enlarged to 28x28
    python models/binarynet/train.py --mnist data.npz     # MNIST images x_u8 [n, 1, 28, 28], labels y; writes nothing

Needs torch 2.13 and scikit-learn; takes some minutes on one core. The same net is also trained with ternary and with
real weights, for comparison.

    image >= 1/2 -> +-1;  conv 3x3 (16) - BatchNorm - ReLU - max-pool 2 - sign;  conv 3x3 (32) - BatchNorm - ReLU -
    max-pool 2;  linear (10)

The inputs and weights of the convolutions are -1 and +1. Behind a ReLU nothing is negative, so that the sign there is
taken against a threshold above 0, which is learned. Max and sign commute; the exported graph takes the sign first, so
that the pool works on bits.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from qir.passes.train.rounding import binary, straight_through, ternary

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import digits  # noqa: E402  (found through the line above, from any working folder)

SEED = 3
EPOCHS = 40
BATCH = 64
SIGN = 2.0
"""What the exported signs in front of the second convolution stand for, +-SIGN; its weights are that much smaller. A
threshold below it makes rounding twice the same as rounding once, and a power of two changes no bit of any result."""
KINDS = ("binary", "ternary", "float")


@dataclass(frozen=True)
class Data:
    """Images [n, 1, 28, 28] in 0..1, labels [n]."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def enlarged(images: np.ndarray) -> np.ndarray:
    """[n, 1, 8, 8] to [n, 1, 28, 28] by linear interpolation, with a border of two pixels."""
    return np.pad(digits.enlarged(images, 24), ((0, 0), (0, 0), (2, 2), (2, 2)))


def small_digits() -> Data:
    """scikit-learn's, in the split that all samples of this repository use."""
    found = digits.load()
    return Data(enlarged(found.train_images), found.train_labels, enlarged(found.test_images), found.test_labels)


def mnist(path: Path) -> Data:
    """The first four fifths of a file to train on, the others to test."""
    with np.load(path) as found:
        images, labels = (found["x_u8"] / 255).astype(np.float32), found["y"].astype(np.int64)
    count = len(images) * 4 // 5
    return Data(images[:count], labels[:count], images[count:], labels[count:])


def signs(x: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """-1 and +1; the gradient passes within 1 of the threshold, which gets the opposite one."""
    off = x - threshold
    return straight_through(off, torch.ones(()), binary(off.detach()), -1.0, 1.0)


class FewValues(nn.Conv2d):
    """A convolution, 3x3 with a border of zeros, whose weights are seen as s b: b = -1, +1 (or also 0), s = mean|w|."""

    def __init__(self, inputs: int, outputs: int, kind: str) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)
        self.kind = kind

    def codes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """b, and s of each output channel; for ternary weights b is 0 below 0.7 mean|w| (TWN)."""
        weight = self.weight.detach()
        mean = weight.abs().mean((1, 2, 3), keepdim=True)
        if self.kind == "binary":
            return binary(weight), mean
        found = ternary(weight, 0.7 * mean)
        return found, (weight * found).sum((1, 2, 3), keepdim=True) / found.abs().sum((1, 2, 3), keepdim=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "float":
            return self._conv_forward(x, self.weight, None)
        codes, scale = self.codes()
        reach = 1 / scale  # weights beyond 1 have no gradient, as BinaryConnect has it; step() keeps them inside
        return self._conv_forward(x, straight_through(self.weight, scale, codes, -reach, reach), None)


class BinaryNet(nn.Module):
    """`[N, 1, 28, 28]` in 0..1 -> `[N, 10]` logits."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.second = FewValues(1, 16, kind), FewValues(16, 32, kind)
        self.first_norm, self.second_norm = nn.BatchNorm2d(16), nn.BatchNorm2d(32)
        self.threshold = nn.Parameter(torch.tensor(0.5))
        self.classify = nn.Linear(32 * 7 * 7, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image if self.kind == "float" else binary(image, 0.5)
        x = functional.max_pool2d(functional.relu(self.first_norm(self.first(x))), 2)
        x = x if self.kind == "float" else signs(x, self.threshold)
        x = functional.max_pool2d(functional.relu(self.second_norm(self.second(x))), 2)
        return self.classify(torch.flatten(x, 1))

    def step(self) -> None:
        """After one of the optimizer: latent weights stay in [-1, 1], the threshold above 0 and below SIGN."""
        with torch.no_grad():
            for layer in (self.first, self.second):
                layer.weight.clamp_(-1, 1)
            self.threshold.clamp_(0.05, 0.95 * SIGN)


def shifted(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A training batch, each image moved by up to two pixels along each axis."""
    padded = functional.pad(images, (2, 2, 2, 2))
    offsets = rng.integers(0, 5, (len(images), 2))
    return torch.stack([image[:, y : y + 28, x : x + 28] for image, (y, x) in zip(padded, offsets, strict=True)])


def train(data: Data, kind: str, epochs: int = EPOCHS) -> BinaryNet:
    """Trains on the training split with Adam and a one-cycle learning rate; the test split is never looked at."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    model = BinaryNet(kind)
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.from_numpy(rng.permutation(len(images))).split(BATCH):
            loss = functional.cross_entropy(model(shifted(images[batch], rng)), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.step()
            schedule.step()
    return model.eval()


def export(model: BinaryNet) -> onnx.ModelProto:
    """ONNX that qir reads as codes: weights behind DequantizeLinear, signs as Where, BatchNorm folded.

    `BN(s b * x) = (s g / d) b * x + (beta - g mean / d)` with d the deviation; a negative g turns the signs of b.
    """
    few, arrays, nodes, x = model.kind != "float", {}, [], digits.INPUT

    def add(op: str, inputs: list[str], output: str, **attrs: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], output, **attrs))
        return output

    def sign(x: str, threshold: float, output: str, size: float) -> str:
        numbers = {"threshold": threshold, "plus": size, "minus": -size}
        arrays.update({f"{output}.{key}": np.float32(value) for key, value in numbers.items()})
        test = add("GreaterOrEqual", [x, f"{output}.threshold"], f"{output}.test")
        return add("Where", [test, f"{output}.plus", f"{output}.minus"], output)

    if few:
        x = sign(x, 0.5, "image.signs", 1.0)
    for name, layer, norm in (("conv1", model.first, model.first_norm), ("conv2", model.second, model.second_norm)):
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        arrays[f"{name}.bias"] = (norm.bias - norm.running_mean * gain).detach().numpy()
        weight = f"{name}.weight"
        if few:
            codes, scale = layer.codes()
            arrays[f"{name}.codes"] = (codes * gain.sign().reshape(-1, 1, 1, 1)).numpy().astype(np.int8)
            step = SIGN if name == "conv2" else 1.0  # of the codes that the layer reads
            arrays[f"{name}.scale"] = (scale.flatten() * gain.abs() / step).numpy()
            add("DequantizeLinear", [f"{name}.codes", f"{name}.scale"], weight, axis=0)
        else:
            arrays[weight] = (layer.weight * gain.reshape(-1, 1, 1, 1)).detach().numpy()
        x = add("Conv", [x, weight, f"{name}.bias"], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        x = add("Relu", [x], f"{name}.relu")
        if few and name == "conv1":
            x = sign(x, model.threshold.item(), "conv1.signs", SIGN)
        x = add("MaxPool", [x], f"{name}.pool", kernel_shape=[2, 2], strides=[2, 2])
    arrays |= {f"classify.{key}": value.detach().numpy() for key, value in model.classify.named_parameters()}
    add("Flatten", [x], "flat")
    add("Gemm", ["flat", "classify.weight", "classify.bias"], "logits", transB=1)
    shapes = {digits.INPUT: ["N", 1, 28, 28], "logits": ["N", 10]}
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph(nodes, "binarynet", [given], [made],
                              [numpy_helper.from_array(value, name) for name, value in arrays.items()])  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8,
                              producer_name="qir models/binarynet")  # fmt: skip
    onnx.checker.check_model(proto, full_check=True)
    return proto


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="FILE", help="train and test on these images instead")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    data = small_digits() if given.mnist is None else mnist(given.mnist)
    for kind in KINDS:
        model = train(data, kind, given.epochs)
        proto = export(model)
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        answers = session.run(None, {digits.INPUT: data.test_images})[0].argmax(1)
        right = int((answers == data.test_labels).sum())
        logging.info("%s: %d of %d right, threshold %.3f", kind, right, len(data.test_labels), model.threshold.item())
        if kind == "float":
            for recipe in ("int8", "ternary"):
                import qir

                compiled = qir.compile(proto, data.train_images[:256], recipe=recipe)
                answers = compiled.run({digits.INPUT: data.test_images})["logits"].argmax(1)
                logging.info("%s of float: %d right", recipe, int((answers == data.test_labels).sum()))
        if kind == "binary" and given.mnist is None:
            onnx.save(proto, HERE / "model.onnx")


if __name__ == "__main__":
    main()
