"""LSTM, GRU and RNN against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Case, case, check_cases
from onnx_results import check_with_onnxruntime, results
from test_conv_f32 import reals

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent(
    op: str,
    seed: int,
    *,
    direction: str = "forward",
    given: tuple[int, ...] = (0,),
    hidden: int = 11,
    leave_out: str = "",
    steps: int = 5,
    batch: int = 2,
    outputs: int | None = None,
    **attrs: Any,
) -> Case:
    """A case with inputs left out by letter: b(ias), l(engths), h(idden), c(ell), p(eepholes)."""
    directions, gates = (2 if direction == "bidirectional" else 1), GATES[op]
    full = {
        "x": reals(seed, (steps, batch, 6)),
        "w": reals(seed + 1, (directions, gates * hidden, 6)) / 2,
        "r": reals(seed + 2, (directions, gates * hidden, hidden)) / 2,
        "b": reals(seed + 3, (directions, 2 * gates * hidden)),
        "l": np.array([steps, steps - 2][:batch], np.int32),
        "h": reals(seed + 4, (directions, batch, hidden)),
        "c": reals(seed + 5, (directions, batch, hidden)),
        "p": reals(seed + 6, (directions, 3 * hidden)),
    }
    names = "xwrblhcp" if op == "LSTM" else "xwrblh"
    arrays = [None if name in leave_out else full[name] for name in names]
    while arrays[-1] is None:
        arrays.pop()
    return case(
        op, arrays, given, outputs or (3 if op == "LSTM" else 2), direction=direction, hidden_size=hidden, **attrs
    )


@pytest.mark.parametrize("op", list(GATES))
def test_recurrent(any_float_target: str, op: str) -> None:
    cases = []
    for seed, direction in enumerate(("forward", "reverse", "bidirectional")):
        cases += [
            recurrent(op, seed, direction=direction),
            recurrent(op, seed + 10, direction=direction, leave_out="blhcp"),
            recurrent(op, seed + 20, direction=direction, leave_out="lp", given=(0, 1, 2)),
            recurrent(op, seed + 30, direction=direction, leave_out="p", hidden=16, outputs=1),
        ]
    if op == "GRU":
        cases += [
            recurrent(op, 40, linear_before_reset=1),
            recurrent(op, 41, direction="bidirectional", linear_before_reset=1),
        ]
    if op == "LSTM":
        cases += [recurrent(op, 42, input_forget=1, leave_out="p")]
    cases.append(recurrent(op, 43, clip=0.3, leave_out="pl"))
    cases += [recurrent(op, 44, hidden=70, steps=3), recurrent(op, 45, hidden=4, steps=19, batch=1)]
    check_with_onnxruntime(cases, 2e-5, any_float_target)


def test_activations() -> None:
    names = (
        "Relu",
        "Affine",
        "LeakyRelu",
        "ThresholdedRelu",
        "ScaledTanh",
        "HardSigmoid",
        "Elu",
        "Softsign",
        "Softplus",
        "Sigmoid",
    )
    numbers = {
        "Affine": (0.5, 0.1),
        "LeakyRelu": (0.1,),
        "ThresholdedRelu": (0.3,),
        "ScaledTanh": (0.8, 0.7),
        "HardSigmoid": (0.3, 0.4),
        "Elu": (0.6,),
    }
    cases = []
    for seed, name in enumerate(names):
        given = numbers.get(name, ())
        extra = {key: (value,) for key, value in zip(("activation_alpha", "activation_beta"), given, strict=False)}
        cases.append(recurrent("RNN", seed, activations=(name,), steps=3, **extra))
    cases.append(
        recurrent(
            "GRU",
            60,
            direction="bidirectional",
            activations=("HardSigmoid", "Softsign", "Sigmoid", "Elu"),
            activation_alpha=(0.3, 0.7),
            activation_beta=(0.4,),
        )
    )
    check_with_onnxruntime(cases, 2e-5)


def test_samples_first() -> None:
    one = recurrent("LSTM", 0, direction="bidirectional", leave_out="l")
    turned = [one.arrays[slot] for slot in range(8)]
    for slot in (0, 5, 6):
        array = turned[slot]
        assert array is not None
        turned[slot] = np.ascontiguousarray(array.swapaxes(0, 1))
    y, *states = results(one)
    wanted = [y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in states)]
    other = case("LSTM", turned, (0, 5), 3, layout=1, **one.node.attrs)
    check_cases([other], [[np.ascontiguousarray(array) for array in wanted]], tolerance=1e-5)
