"""`qir explain`: why a quantized model, of whatever tool, is worse than its float model."""

from __future__ import annotations

import json
from pathlib import Path

import rich_click as click

from qir.cli import options
from qir.cli.paths import check_writable, make_parent

_EPILOG = options.example(
    "qir explain model.onnx quantized.onnx --calib images.npz",
    "qir explain model.onnx quantized.onnx --calib images.npz -o repaired.onnx",
)


@click.command("explain", epilog=_EPILOG, short_help="Say why a quantized model is worse than its float model.")
@click.argument("model", metavar="MODEL", type=click.Path(exists=True, dir_okay=False))
@click.argument("quantized", metavar="QUANTIZED", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--calib", metavar="DATA", required=True, panel=options.INPUT,
    help="Samples such as the model will see, .npz or .npy; labels are not needed.",
)  # fmt: skip
@options.shapes
@click.option(
    "--output", "-o", metavar="FILE", panel=options.OUTPUT,
    help="Write QUANTIZED with every repair that helped, as .onnx.",
)  # fmt: skip
@options.as_json
@options.debug
def explain_command(
    model: str, quantized: str, calib: str, shape: tuple[str, ...], bind: tuple[str, ...], output: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say why QUANTIZED, a model in QDQ form that any tool made of MODEL, is worse: findings, and tried repairs."""
    from qir.api import explain
    from qir.cli.inputs import read
    from qir.onnxio.export import export
    from qir.onnxio.store import save_model

    if output:
        check_writable(Path(output))
    found = explain(read(model, shape, bind), read(quantized, shape, bind), calib)
    if output and found.repaired is not None:
        make_parent(Path(output))
        save_model(export(found.repaired), output)
        click.echo(f"wrote {output}", err=True)
    elif output:
        click.echo(f"nothing was repaired, so {output} was not written", err=True)
    click.echo(json.dumps(found.as_json(), indent=2) if as_json else str(found))
