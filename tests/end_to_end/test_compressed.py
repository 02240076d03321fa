"""Compressed networks: QDQ and C agree node by node, instruction sets bit by bit, and little accuracy is lost."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import qir
from tests.end_to_end.contract import STRICT, compare_nodes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compress", "least"),
    [
        ("prune{channels=0.3}", 500),
        ("sparsify{pattern=16x4}", 500),
        ("low-rank{macs=0.6},sparsify{pattern=2:4}", 500),
    ],
)
def test_compressed_digits(compress: str, least: int, digits: ModuleType) -> None:
    """`least` of 540 answers are right."""
    data = digits.load()
    small = qir.compile(str(digits.MODEL), data.calibration, recipe="float", compress=compress)
    names = [one.name for one in qir.parse_pipeline(compress)]
    assert names == [name for name in names if any(note.startswith(f"{name}: ") for note in small.notes)]
    found = {
        target: qir.compile(small.graph, data.calibration, target=target, trace=True)
        for target in ("portable", "native")
    }
    logits = [np.concatenate([made.run({"image": image[None]})["logits"] for image in data.test_images[:60]])
              for made in found.values()]  # fmt: skip
    np.testing.assert_array_equal(*logits)
    trace = found["portable"].trace
    assert trace is not None
    quant, integer = trace["lower-integer"].before, trace["lower-integer"].after
    for row in compare_nodes(quant, integer, [{"image": image[None]} for image in data.test_images[:40]]):
        assert row.worst <= 1
        assert row.share <= (0.0005 if row.op in STRICT else 0.005), row
    answers = qir.compile(small.graph, data.calibration).run({"image": data.test_images})["logits"].argmax(1)
    assert (answers == data.test_labels).sum() >= least
