"""`qir inspect`: what a model holds and what can be made of it."""

from __future__ import annotations

import json

import rich_click as click

from qir.cli import options
from qir.errors import QirError, RecipeError

_EPILOG = options.example(
    "qir inspect model.onnx",
    "qir inspect model.onnx --shape N=1 --target portable",
    "qir inspect model.onnx --target cortex-m4 --ram 128k --flash 512k",
    "qir inspect model.onnx --json",
)


@click.command("inspect", epilog=_EPILOG, short_help="Show what a model holds and what each target can do with it.")
@options.model()
@options.shapes
@options.target(default=None)
@click.option(
    "--recipe", "-r", default="int8", show_default=True, metavar="RECIPE", panel=options.NUMBERS,
    help="For which numbers the memory of C is told, with one --target.",
)
@click.option("--ram", metavar="SIZE", panel=options.NUMBERS, help="Of the board: does it fit? 131072, 128k or 128Ki.")
@click.option("--flash", metavar="SIZE", panel=options.NUMBERS, help="Of the board, as --ram.")
@options.as_json
@options.debug
def inspect_command(
    model: str, shape: tuple[str, ...], bind: tuple[str, ...], target: str | None, recipe: str, ram: str | None,
    flash: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what MODEL holds: inputs, outputs, operators, work, size, and what each target can do with it.

    For one target of C also what the network takes of the processor, layer by layer, before anything is built: RAM and
    weights exactly, code and cycles estimated.
    """
    from qir.budget import byte_count
    from qir.cli.fit import fit
    from qir.cli.inputs import read
    from qir.debug.inspect import inspect
    from qir.target import TARGETS
    from qir.target import target as find_target

    targets = [find_target(target)] if target else [TARGETS[name] for name in sorted(TARGETS)]
    limits = [byte_count(size, name) for name, size in (("--ram", ram), ("--flash", flash))]
    if any(limits) and (target is None or targets[0].backend != "c"):
        raise RecipeError("--ram and --flash are limits of a board", fix="Give one --target that makes C")
    graph = read(model, shape, bind)
    found = inspect(graph, targets, source=model)
    document, text = found.as_json(), [str(found)]
    if target is not None and targets[0].backend == "c":
        try:
            board = fit(graph, target, recipe, *limits)
            document["fit"], text = board.as_json(), [*text, "", str(board)]
        except QirError as refused:
            if any(limits):
                raise
            document["fit"], text = {"refused": str(refused)}, [*text, "", f"{target}, {recipe}: {refused}"]
    click.echo(json.dumps(document, indent=2) if as_json else "\n".join(text))
