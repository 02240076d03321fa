"""`fold-preprocess`: the network takes pixels instead of normalised values.

    x -> network   becomes   pixels -> Sub(mean) -> Div(std) -> network

so that the passes that follow can fold the normalisation into the first layer where that is exact, and the rest runs
inside the compiled network. Pixels are 0..255, in the layout and colour order of the model's input.
The 8-bit codes of the input are the pixels themselves, so C takes bytes as they come from a camera (`net_run_q`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.errors import DataError
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.passmanager.base import Context, Pass, Promise
from qir.rewrite.editor import Editor

PIXELS = "qir.pixels"
"""Key of the metadata that names the input that takes pixels: its codes are the pixels themselves."""


@dataclass(frozen=True)
class FoldPreprocess(Pass):
    """Prepends `(pixels - mean) / std` to a model with one image input.

    Attributes:
        mean, std: in units of 8-bit pixels, one number or one a channel.
        channel_axis: 1 for NCHW, 3 for NHWC.
    """

    name: ClassVar[str] = "fold-preprocess"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT})
    promise: ClassVar[Promise] = Promise.LOSSY
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    channel_axis: int = 1

    def run(self, graph: Graph, context: Context) -> Graph:
        if len(graph.inputs) != 1:
            raise DataError(f"preprocessing needs a model with one input, this one has {', '.join(graph.inputs)}",
                            fix="Leave `preprocess` out and give prepared arrays")  # fmt: skip
        image = graph.inputs[0]
        kind = graph.types[image]
        if not isinstance(kind, TensorType) or kind.shape is None or len(kind.shape) != 4:
            raise DataError(f"preprocessing needs an input of four axes, this is {kind}", tensor=image,
                            fix="Leave `preprocess` out and give prepared arrays")  # fmt: skip
        edit = Editor(graph)
        value = image
        users = graph.index.consumers(image)
        for label, op, numbers in (("mean", "Sub", self.mean), ("std", "Div", self.std)):
            if all(number == (0.0 if op == "Sub" else 1.0) for number in numbers):
                continue
            constant = edit.constant(f"{image}_{label}", self._along(numbers, kind))
            value = edit.node(
                op, (value, constant), name=f"preprocess_{label}", outputs=(edit.fresh_value(f"{image}_{label}ed"),)
            )[0]
        for node in users:
            _read(edit, node, image, value)
        return edit.build(metadata={**graph.metadata, PIXELS: image})

    def _along(self, numbers: tuple[float, ...], kind: TensorType) -> np.ndarray:
        shape = [1, 1, 1, 1]
        shape[self.channel_axis] = len(numbers)
        channels = (kind.shape or ())[self.channel_axis]
        if len(numbers) not in (1, channels):
            raise DataError(
                f"preprocessing has {len(numbers)} numbers for {channels} channels", fix="Give one a channel"
            )
        return np.asarray(numbers, np.float32).reshape(shape)


def _read(edit: Editor, node: Node, old: str, new: str) -> None:
    for slot, name in enumerate(node.inputs):
        if name == old and new != old:
            edit.replace_input(node, slot, new)
