"""`qir inspect`: what a model holds and what can be made of it."""

from __future__ import annotations

import json

import rich_click as click

from qir.cli import options

_EPILOG = options.example(
    "qir inspect model.onnx",
    "qir inspect model.onnx --shape N=1 --target portable",
    "qir inspect model.onnx --json",
)


@click.command("inspect", epilog=_EPILOG, short_help="Show what a model holds and what each target can do with it.")
@options.model()
@options.shapes
@options.target(default=None)
@options.as_json
@options.debug
def inspect_command(
    model: str, shape: tuple[str, ...], bind: tuple[str, ...], target: str | None, as_json: bool
) -> None:
    """Show what MODEL holds: inputs, outputs, operators, work, size, and what each target can do with it."""
    from qir.cli.inputs import read
    from qir.debug.inspect import inspect
    from qir.target import TARGETS
    from qir.target import target as find_target

    targets = [find_target(target)] if target else [TARGETS[name] for name in sorted(TARGETS)]
    found = inspect(read(model, shape, bind), targets, source=model)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
