"""`qir explain`: why a quantized model, of whatever tool, is worse than its float model."""

from __future__ import annotations

import json

import rich_click as click

from qir.cli import options

_EPILOG = options.example(
    "qir explain model.onnx quantized.onnx --calib images.npz",
    "qir explain model.onnx quantized.onnx --calib images.npz --json",
)


@click.command("explain", epilog=_EPILOG, short_help="Say why a quantized model is worse than its float model.")
@click.argument("model", metavar="MODEL", type=click.Path(exists=True, dir_okay=False))
@click.argument("quantized", metavar="QUANTIZED", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--calib", metavar="DATA", required=True, panel=options.INPUT,
    help="Samples such as the model will see, .npz or .npy; labels are not needed.",
)  # fmt: skip
@options.shapes
@options.as_json
@options.debug
def explain_command(
    model: str, quantized: str, calib: str, shape: tuple[str, ...], bind: tuple[str, ...], as_json: bool
) -> None:
    """Say why QUANTIZED, a model in QDQ form that any tool made of MODEL, is worse: findings, and tried repairs."""
    from qir.api import explain
    from qir.cli.inputs import read

    found = explain(read(model, shape, bind), read(quantized, shape, bind), calib)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
