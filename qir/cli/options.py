"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click as plain
import rich_click as click

import qir.backends  # noqa: F401  (registers the targets)
from qir.recipe import ALIASES
from qir.target import TARGETS

F = TypeVar("F", bound=Callable[..., Any])
DEBUG = "qir.debug"

INPUT, NUMBERS, OUTPUT, CHECK, SHOW, RUN = (
    "Model and data", "What to make", "Output", "Checks", "What to show", "Which passes",
)  # fmt: skip


def example(*lines: str) -> str:
    """Examples for the end of a help page, lines kept as they are."""
    return "\n\n".join(["[bold]Examples[/]", *(line.replace("[", "\\[") for line in lines)])


def _remember(context: plain.Context, parameter: plain.Parameter, value: bool) -> None:
    context.meta[DEBUG] = context.meta.get(DEBUG, False) or value


def debug(function: F) -> F:
    """--debug: errors come with the place in qir where they arose."""
    return click.option(
        "--debug", is_flag=True, envvar="QIR_DEBUG", expose_value=False, callback=_remember, panel=CHECK,
        help="Show where in qir an error arose (also QIR_DEBUG=1).",
    )(function)  # fmt: skip


def model(required: bool = True) -> Callable[[F], F]:
    """The model's path."""
    return click.argument("model", required=required, panel=INPUT, help="An ONNX file, or a graph that qir has saved.")


def shapes(function: F) -> F:
    """--shape and --bind."""
    for option in (
        click.option(
            "--bind", multiple=True, metavar="INPUT=VALUE", panel=INPUT,
            help="Give an input this value for good, so that what depends on it folds away: --bind sr=16000.",
        ),
        click.option(
            "--shape", "shape", multiple=True, metavar="NAME=SIZE", panel=INPUT,
            help="Size of a dimension symbol, or the whole shape of an input: --shape N=1 or --shape x=1,3,224,224.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def data(function: F) -> F:
    """--calib and --preprocess."""
    for option in (
        click.option(
            "--preprocess", metavar="TEXT", panel=INPUT,
            help="How pixels, 0..255, become inputs; this becomes part of the compiled model, which then takes pixels: "
                 "mean=124/116/104,std=58/57/57,size=224x224,layout=NCHW,color=RGB (or BGR, L).",
        ),
        click.option(
            "--calib", metavar="PATH", panel=INPUT,
            help="Unlabelled samples: an .npz file with one array an input, an .npy file, or a folder of pictures. "
                 "A few hundred are plenty. Without them weights are quantized, and activations whose ranges "
                 "BatchNorms tell.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def target(default: str | None = "onnx") -> Callable[[F], F]:
    """--target."""
    what = "Where it shall run" if default else "Only this target; all by default"
    return click.option(
        "--target", "-t", default=default, show_default=default is not None, metavar="NAME", panel=NUMBERS,
        help=f"{what}: {', '.join(sorted(TARGETS))}, or what else 'qir targets' lists.",
    )  # fmt: skip


def recipe(function: F) -> F:
    """--recipe and --override."""
    for option in (
        click.option(
            "--override", multiple=True, metavar="GLOB:FIELD=VALUE", panel=NUMBERS,
            help="Treat some nodes otherwise, by name or operator; later ones win: "
                 "--override 'head*:float', 'Conv:per_channel=false', '/conv1:range=-1..6'.",
        ),
        click.option(
            "--recipe", "-r", default="int8", show_default=True, metavar="RECIPE", panel=NUMBERS,
            help=f"What to do to the numbers: {', '.join(ALIASES)}, the grammar (w4a8, w4), or a .toml file.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def passes(help_text: str) -> Callable[[F], F]:
    """--passes."""
    return click.option("--passes", metavar="TEXT", panel=RUN, help=help_text)


def seed(function: F) -> F:
    """--seed."""
    return click.option("--seed", default=0, show_default=True, metavar="N", panel=NUMBERS,
                        help="Of every random choice; the same seed gives the same bytes.")(function)  # fmt: skip


def as_json(function: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, panel=OUTPUT,
                        help="Print one JSON object instead of text.")(function)  # fmt: skip
