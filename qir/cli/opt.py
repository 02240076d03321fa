"""`qir opt`: passes, one by one, in the open."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from qir.cli import options
from qir.cli.paths import check_writable, make_parent
from qir.errors import PassError

if TYPE_CHECKING:
    from qir.cli.inputs import Loaded
    from qir.passmanager.base import Pass
    from qir.passmanager.manager import Instrument, Step

_EPILOG = options.example(
    "qir opt --list",
    "qir opt model.onnx --passes fold-constants,fold-batchnorm --print-changed",
    "qir opt model.onnx --calib images.npz --passes 'calibrate{method=mse},quantize' -o model.qdq.onnx",
    "qir opt model.onnx --calib images.npz --drift --time-passes --dump steps/",
    "qir opt model.onnx --calib images.npz --verify-each --stop-below 20",
    "qir opt steps/04-fold-batchnorm.onnx --calib images.npz --start-from calibrate --stop-after quantize",
)


@click.command("opt", epilog=_EPILOG, short_help="Run passes one by one, in the open.")
@options.model(required=False)
@options.data
@options.shapes
@options.target()
@options.recipe
@options.seed
@options.passes("The pipeline, as NAME,NAME{option=value},... By default the one 'qir compile' runs.")
@click.option("--start-from", metavar="PASS", panel=options.RUN, help="Leave out the passes before this one.")
@click.option("--stop-after", metavar="PASS", panel=options.RUN, help="Leave out the passes after this one.")
@click.option(
    "--stop-below",
    metavar="DB",
    type=float,
    panel=options.RUN,
    help="Stop after the first pass that takes a layer's SQNR below DB, and say which layer.",
)
@click.option(
    "--list",
    "show_list",
    is_flag=True,
    panel=options.RUN,
    help="List every pass with its promise, stages and options, and end.",
)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    panel=options.OUTPUT,
    help="Write the result as ONNX, quantized values as Q/DQ pairs.",
)
@click.option(
    "--save-graph",
    metavar="FILE",
    panel=options.OUTPUT,
    help="Write the graph itself, of any stage; 'qir opt' can go on from it.",
)
@click.option(
    "--dump",
    metavar="FOLDER",
    panel=options.OUTPUT,
    help="Write a trace: the graph after every pass that changed it, as text and as a graph to go on from.",
)
@click.option(
    "--print-before", metavar="PASS", multiple=True, panel=options.SHOW, help="Print the graph before a pass."
)
@click.option("--print-after", metavar="PASS", multiple=True, panel=options.SHOW, help="Print the graph after a pass.")
@click.option("--print-after-all", is_flag=True, panel=options.SHOW, help="Print the graph after every pass.")
@click.option("--print-changed", is_flag=True, panel=options.SHOW, help="Print what each pass changed.")
@click.option("--time-passes", is_flag=True, panel=options.SHOW, help="Print how long each pass took.")
@click.option(
    "--drift",
    is_flag=True,
    panel=options.CHECK,
    help="Print how far the results have moved from the first graph's after each pass.",
)
@click.option(
    "--check-promises",
    is_flag=True,
    panel=options.CHECK,
    help="Fail a pass that promises equal results and changes them, naming the first value that moved.",
)
@click.option(
    "--verify-each",
    is_flag=True,
    panel=options.CHECK,
    help="Run the graph after each pass and fail where a value is not what its type says, or no longer finite.",
)
@options.debug
def opt_command(
    model: str | None, calib: str | None, preprocess: str | None, shape: tuple[str, ...], bind: tuple[str, ...],
    target: str, recipe: str, override: tuple[str, ...], seed: int, passes: str | None, start_from: str | None,
    stop_after: str | None, stop_below: float | None, show_list: bool, output: str | None, save_graph: str | None,
    dump: str | None, print_before: tuple[str, ...], print_after: tuple[str, ...], print_after_all: bool,
    print_changed: bool, time_passes: bool, drift: bool, check_promises: bool, verify_each: bool,
) -> None:  # fmt: skip
    """Run passes on MODEL and show what they do. Without an output and anything to show, the graph is printed.

    Every graph is verified after every pass.
    """
    if show_list:
        click.echo(pass_list())
        return
    if model is None:
        raise click.UsageError("Missing argument 'MODEL'.", click.get_current_context())
    from qir.cli.inputs import load
    from qir.debug.trace import Trace
    from qir.debug.tracefile import check_replaceable
    from qir.debug.watch import layer_below
    from qir.ir.graph import Stage
    from qir.ir.text import graph_text
    from qir.passmanager.base import Context
    from qir.passmanager.instruments import Drift, Printer, PromiseChecker, Timer
    from qir.passmanager.manager import observed, steps
    from qir.passmanager.values import ValueChecker
    from qir.pipeline import teacher

    for path in (output, save_graph, dump):
        if path:
            check_writable(Path(path))
    if dump:
        check_replaceable(Path(dump))
    loaded = load(model, shape, bind, calib, preprocess, target, recipe, override, seed)
    chosen = _cut(_passes(passes, loaded), start_from, stop_after)
    _must_be_in(chosen, (*print_before, *print_after))
    context = Context(loaded.target, loaded.recipe, loaded.feeds, seed)
    if loaded.graph.stage is Stage.FLOAT:  # of a graph saved later on, fine-tuning takes the reals behind its codes
        context.teacher = teacher(loaded.graph, chosen, context)
    timer, trace = Timer(), Trace.of(context, chosen)
    instruments: list[Instrument] = [timer, trace]
    shown = bool(print_before or print_after or print_after_all or print_changed)
    if shown:
        instruments.append(Printer(frozenset(print_before), frozenset(print_after), print_after_all, print_changed))
    drifted = Drift(loaded.samples()) if drift else None
    instruments += [_after_preprocessing(drifted)] if drifted is not None else []
    instruments += [PromiseChecker(loaded.samples())] if check_promises else []
    instruments += [ValueChecker(loaded.samples())] if verify_each else []
    below = layer_below(loaded.samples(), stop_below) if stop_below is not None else None
    graph = loaded.graph
    try:
        for step in observed(steps(graph, chosen, context), instruments):
            graph = step.after
            if below is not None and below(step):
                break
    finally:
        if dump:  # also when a pass fails: what there is up to it tells most then
            trace.save(Path(dump), text=True)
    _write(graph, output, save_graph)
    if below is not None:
        click.echo(f"stopped: {below.found}" if below.found else f"no layer falls below {stop_below:g} dB")
    if drifted is not None:
        click.echo(f"drift from the first graph:\n{drifted}")
    if time_passes:
        click.echo(str(timer))
    checked = check_promises or verify_each or below is not None
    if not (output or save_graph or dump or drift or time_passes or shown or checked):
        click.echo(graph_text(graph))
    for note in context.notes:
        click.echo(f"note: {note}", err=True)


def _passes(text: str | None, loaded: Loaded) -> tuple[Pass, ...]:
    from qir.passmanager.registry import parse_pipeline
    from qir.pipeline import default_pipeline

    if text is not None:
        return parse_pipeline(text)
    return default_pipeline(loaded.recipe, loaded.target, has_data=loaded.feeds is not None,
                            stage=loaded.graph.stage, preprocess=loaded.preprocess)  # fmt: skip


def _after_preprocessing(drift: Instrument) -> Instrument:
    """`fold-preprocess` changes what the inputs are: results are compared from there on."""

    def hook(step: Step) -> None:
        if step.applied.name != "fold-preprocess":
            drift(step)

    return hook


def _must_be_in(passes: tuple[Pass, ...], names: tuple[str, ...]) -> None:
    known = tuple(dict.fromkeys(one.name for one in passes))
    for name in names:
        if name not in known:
            raise PassError(f"pass '{name}' is not in the pipeline", fix=f"It has {', '.join(known) or 'no passes'}")


def _cut(passes: tuple[Pass, ...], first: str | None, last: str | None) -> tuple[Pass, ...]:
    """From the first application of one pass to the last of another."""
    _must_be_in(passes, tuple(name for name in (first, last) if name))
    names = [one.name for one in passes]
    start = names.index(first) if first else 0
    stop = len(names) - names[::-1].index(last) if last else len(names)
    if start >= stop and passes:
        raise PassError(f"pass '{last}' comes before '{first}' in the pipeline", fix="Choose others")
    return passes[start:stop]


def _write(graph: object, output: str | None, saved: str | None) -> None:
    from qir.ir.graph import Graph
    from qir.onnxio.export import export
    from qir.onnxio.store import save_graph, save_model

    assert isinstance(graph, Graph)
    if output:
        proto = export(graph)
        make_parent(Path(output))
        save_model(proto, output)
        click.echo(f"wrote {output}", err=True)
    if saved:
        make_parent(Path(saved))
        save_graph(graph, saved)
        click.echo(f"wrote {saved}", err=True)


def pass_list() -> str:
    """Every pass with its promise, stages, need for data, first line of documentation, and options."""
    import qir.passes  # noqa: F401  (names the passes)
    from qir.passmanager.registry import pass_class, pass_names

    lines = []
    for name in pass_names():
        try:
            lines += _described(pass_class(name))
        except PassError as error:
            lines += [f"{name}: {error}"]
    return "\n".join(lines)


def _described(cls: type[Pass]) -> list[str]:
    text = inspect.getdoc(cls) or ""
    stages = "|".join(sorted(stage.value for stage in cls.needs))
    gives = f" -> {cls.gives.value}" if cls.gives is not None else ""
    facts = f"[{cls.promise.value}, {stages}{gives}{', needs data' if cls.needs_data else ''}]"
    lines = [f"{cls.name}  {facts}", f"    {text.partition(chr(10) * 2)[0].replace(chr(10), ' ')}"]
    explained = _attributes(text)
    for option in fields(cls):
        default = "" if option.default in (MISSING, None, "") else f" (default {str(option.default).lower()})"
        label = option.name.replace("_", "-")
        lines.append(f"      {label}: {explained.get(option.name, 'an option')}{default}")
    return lines


def _attributes(text: str) -> dict[str, str]:
    """The entries of a docstring's section `Attributes:`, continuation lines joined."""
    found: dict[str, str] = {}
    _, _, section = text.partition("Attributes:\n")
    last = ""
    for line in section.splitlines():
        if not line.startswith("    "):
            break
        name, colon, rest = line.strip().partition(": ")
        if not line.startswith("     ") and colon:
            for last in name.split(", "):
                found[last] = rest
        elif last:
            found[last] += " " + line.strip()
    return {name: value.rstrip(".") for name, value in found.items()}
