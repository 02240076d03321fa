"""`qir targets`: what can be compiled for."""

from __future__ import annotations

import json

import rich_click as click

from qir.cli import options
from qir.target import TARGETS

_EPILOG = options.example("qir targets", "qir compile model.onnx --target onnx")


@click.command("targets", epilog=_EPILOG, short_help="List what can be compiled for.")
@options.as_json
@options.debug
def targets_command(as_json: bool) -> None:
    """List what can be compiled for: the names that --target takes."""
    rows = {name: TARGETS[name].description for name in sorted(TARGETS)}
    width = max(map(len, rows))
    lines = [f"{name:<{width}}  {text}" for name, text in rows.items()]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(lines))
