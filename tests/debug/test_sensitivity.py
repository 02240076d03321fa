"""What each layer alone does to the outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qir
from qir.debug.errors import Sums
from tests.debug.small import network, samples
from tests.models import images, tiny_cnn


def test_the_layer_that_was_ruined_comes_first() -> None:
    ruined = qir.Recipe().with_override("square", range=(0.0, 0.01))
    table = qir.compile(network(), samples(128, 1), recipe=ruined).sensitivity()
    first, second = table.layers[:2]
    assert "square" in first.settings
    assert table.share(first) > table.share(second)
    assert sum(map(table.share, table.layers)) == pytest.approx(1)
    assert [table.share(row) for row in table.layers] == sorted(map(table.share, table.layers), reverse=True)
    assert 8 <= table.samples <= 64


def test_every_figure_of_a_layer() -> None:
    net = qir.compile(tiny_cnn(), images())
    rows = {row.node: row for row in net.sensitivity(images(8, seed=5)).layers}
    conv = rows["conv"]
    assert (conv.weights, conv.weight_bytes, conv.macs) == (72, 72, 4 * 6 * 6 * 18)
    assert conv.divergence is not None
    assert 0 < conv.divergence < 0.1
    assert 20 < conv.effect < 80
    assert rows["x"].settings == ("conv",)
    assert {"conv", "x", "head"} <= set(rows)
    assert "flatten" not in rows  # takes over its operand's codes


def test_a_layer_alone_is_what_the_network_is_where_it_alone_is_rounded() -> None:
    recipe = qir.Recipe(default=qir.Layer(None, None)).with_override("head", weight_bits=4)
    net = qir.compile(tiny_cnn(), images(), recipe=recipe)
    (row,) = net.sensitivity().layers
    assert net.rounding.real is not None
    assert net.rounding.quant is not None
    sums = Sums()
    sums.add(*(qir.evaluate_graph(graph, {"x": images()})["y"] for graph in (net.rounding.real, net.rounding.quant)))
    assert row.effect == pytest.approx(sums.error.sqnr, abs=1e-3)
    assert (row.weights, row.weight_bytes) == (12, 6)


def test_it_prints_and_is_json() -> None:
    table = qir.compile(tiny_cnn(), images()).sensitivity()
    assert "conv (Conv)" in str(table)
    assert json.loads(json.dumps(table.as_json()))["layers"][0]["share"] > 0


def test_without_samples_it_says_so() -> None:
    net = qir.compile(tiny_cnn(), recipe="weights-int8")
    with pytest.raises(qir.DataError, match="no samples"):
        net.sensitivity()
    with pytest.raises(qir.DataError, match="at least one"):
        net.sensitivity(np.zeros((0, 2, 6, 6), np.float32))
