"""Trains the small residual CNN of this folder and writes model.onnx beside itself.

    python models/digits_cnn/train.py

Needs torch 2.13, onnxscript and scikit-learn; takes about a minute on one core. BatchNorm is left unfolded in the
exported graph, as in most models that people bring.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import digits  # noqa: E402  (found through the line above, from any working folder)

SEED = 7
EPOCHS = 60
BATCH = 64
OPSET = 18


class DigitsCNN(nn.Module):
    """`[N, 1, 8, 8]` in 0..1 -> `[N, 10]` logits: 3x3 stem, one residual block, pooling, 3x3 widening, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.branch = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.branch_norm = nn.BatchNorm2d(16)
        self.widen = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.widen_norm = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.stem_norm(self.stem(image)))
        x = functional.relu(x + self.branch_norm(self.branch(x)))
        x = self.pool(x)
        x = functional.relu(self.widen_norm(self.widen(x)))
        return self.classify(torch.flatten(self.average(x), 1))


def shifted(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A training batch, each image moved by up to one pixel along each axis, the border filled with zeros."""
    padded = functional.pad(images, (1, 1, 1, 1))
    offsets = rng.integers(0, 3, (len(images), 2))
    return torch.stack([image[:, y : y + 8, x : x + 8] for image, (y, x) in zip(padded, offsets, strict=True)])


def train(data: digits.Digits) -> DigitsCNN:
    """Trains on the training split with AdamW and a one-cycle learning rate; the test split is never looked at."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    images, labels = torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels)
    model = DigitsCNN()
    steps = EPOCHS * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.from_numpy(rng.permutation(len(images)))
        for batch in order.split(BATCH):
            loss = functional.cross_entropy(model(shifted(images[batch], rng)), labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def export(model: DigitsCNN, path: Path) -> None:
    """Writes the model with a symbolic batch dimension `N` and its BatchNorm nodes kept, weights inside the file.

    The TorchScript exporter is asked for on purpose: with `training=PRESERVE` and constant folding off it leaves
    Conv and BatchNormalization as separate nodes; the dynamo exporter folds them.
    """
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 8, 8),),
        str(path),
        input_names=[digits.INPUT],
        output_names=["logits"],
        dynamic_axes={digits.INPUT: {0: "N"}, "logits": {0: "N"}},
        opset_version=OPSET,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    onnx.checker.check_model(str(path), full_check=True)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = digits.load()
    model = train(data)
    with torch.no_grad():
        predicted = model(torch.from_numpy(data.test_images)).argmax(1).numpy()
    right = int((predicted == data.test_labels).sum())
    parameters = sum(p.numel() for p in model.parameters())
    logging.info("test: %d of %d right; %d trained parameters", right, len(predicted), parameters)
    export(model, HERE / "model.onnx")


if __name__ == "__main__":
    main()
