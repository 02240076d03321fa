"""`qir debug`: where the accuracy of a traced compilation went."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import rich_click as click

from qir.cli import options
from qir.cli.paths import check_writable, make_parent

_EPILOG = options.example(
    "qir compile model.onnx --calib images.npz --trace out/trace",
    "qir debug out/trace",
    "qir debug out/trace --report report.html",
    "qir debug out/trace --diff calibrate quantize",
    "qir debug out/trace --bisect 0.99",
)


@click.command("debug", epilog=_EPILOG, short_help="Say where accuracy went: which pass, which layer, why.")
@click.argument("trace", metavar="TRACE", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--calib",
    metavar="DATA",
    panel=options.INPUT,
    help="Judge on these samples (.npz or .npy) instead of those that the trace keeps.",
)
@click.option(
    "--report",
    metavar="FILE",
    panel=options.OUTPUT,
    help="Write the whole story; the name ends in .html, .md or .json.",
)
@click.option(
    "--recipe",
    metavar="FILE",
    panel=options.OUTPUT,
    help="Write the recipe with every repair that helped, as .toml for 'qir compile --recipe'.",
)
@click.option(
    "--findings", is_flag=True, panel=options.SHOW, help="Print every finding, with what to paste into a recipe."
)
@click.option(
    "--sensitivity", "table", is_flag=True, panel=options.SHOW,
    help="Print what each layer alone does to the outputs, with its bytes and work, the worst first.",
)  # fmt: skip
@click.option(
    "--diff", nargs=2, metavar="STEP STEP", panel=options.SHOW,
    help="Print what differs between the graphs after two steps, each a number (0: the model) or a pass.",
)  # fmt: skip
@click.option(
    "--bisect",
    type=float,
    metavar="SHARE",
    panel=options.SHOW,
    help="Print the first pass, and its layer, after which less than this share of samples has the model's top answer.",
)
@options.as_json
@options.debug
def debug_command(
    trace: str, calib: str | None, report: str | None, recipe: str | None, findings: bool, table: bool,
    diff: tuple[str, str] | None, bisect: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Say where the accuracy of a compilation went that was traced into the folder TRACE."""
    from rich.console import Console

    from qir.debug.report import check_report, write_report
    from qir.debug.samples import batches_of
    from qir.debug.story import mended, sensitivity_of, story, tell
    from qir.debug.trace import Trace

    for path in (report, recipe):
        if path:
            check_writable(Path(path))
    if report:
        check_report(report)
    kept = Trace.load(trace)
    if diff is not None:
        click.echo(str(kept.diff(*map(_step, diff))))
        return
    data = None if calib is None else batches_of(kept.source, calib)
    if table:
        layers = sensitivity_of(kept, data)
        click.echo(json.dumps(layers.as_json(), indent=2) if as_json else str(layers))
        return
    if bisect is not None:
        click.echo(str(kept.bisect(limit=bisect, samples=data)))
        return
    facts, found = story(kept, data)
    if report:
        make_parent(Path(report))
        write_report(facts, report)
        click.echo(f"wrote {report}", err=True)
    if recipe and found is not None:
        make_parent(Path(recipe))
        Path(recipe).write_text(mended(kept.recipe, found).to_toml(), encoding="utf-8")
        click.echo(f"wrote {recipe}", err=True)
    if as_json:
        click.echo(json.dumps(facts.as_json(), indent=2))
    elif findings and found is not None:
        click.echo(str(found))
    else:
        tell(facts, found, trace, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 110, highlight=False))


def _step(text: str) -> int | str:
    return int(text) if text.isdigit() else text
