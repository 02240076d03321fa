"""`qir compile`: a model to QDQ ONNX or C."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import rich_click as click

from qir.backends.c.boards import EXAMPLES
from qir.backends.c.emitting.arrays import CHOICES
from qir.backends.c.emitting.packages import LAYOUTS
from qir.backends.c.ports import WAYS
from qir.cli import options
from qir.cli.paths import check_writable, make_parent, written_files
from qir.errors import RecipeError
from qir.target import Requantization

if TYPE_CHECKING:
    from qir.cli.inputs import Loaded

_EPILOG = options.example(
    "qir compile model.onnx --calib images.npz",
    "qir compile model.onnx --calib photos/ --preprocess size=224x224,mean=124/116/104,std=58/57/57",
    "qir compile model.onnx --calib images.npz --target portable --shape N=1 -o net/ --explain",
    "qir compile model.onnx --calib images.npz --override 'head*:float' --report",
    "qir compile model.onnx --calib images.npz --compress 'prune{channels=0.3}'",
)


@click.command("compile", epilog=_EPILOG, short_help="Quantize a model and write QDQ ONNX or C.")
@options.model()
@options.data
@options.shapes
@options.target()
@options.recipe
@options.seed
@options.passes("Run these passes instead of the usual ones; 'qir opt --list' shows them.")
@click.option(
    "--compress",
    metavar="TEXT",
    panel=options.NUMBERS,
    help="Make the network smaller first: 'prune{channels=0.3}', 'low-rank{macs=0.5}', 'sparsify{pattern=2:4}', or "
    "several of them, with commas between.",
)
@click.option(
    "--finetune",
    is_flag=False,
    flag_value="finetune",
    metavar="[TEXT]",
    panel=options.NUMBERS,
    help="Train the rounded network on the float model's outputs for the samples of --calib; needs qir[train]. "
    "Options may follow: --finetune 'finetune{steps=2000}'.",
)
@click.option(
    "--labels",
    metavar="FILE",
    panel=options.INPUT,
    help="Classes of the samples of --calib, an .npy file, for --finetune.",
)
@click.option(
    "--max-drop",
    type=float,
    metavar="SHARE",
    panel=options.NUMBERS,
    help="Keep layers wider, or in float, until no larger share of the answers moves: 0.005 is half a point.",
)
@click.option(
    "--max-bytes",
    metavar="SIZE",
    panel=options.NUMBERS,
    help="Give weights so few bits that the .onnx file, or the constants of the C, fit: 65536, 64k or 64Ki.",
)
@click.option(
    "--max-ram",
    metavar="SIZE",
    panel=options.NUMBERS,
    help="Compute layers of C some rows at a time as far as it takes until the arena fits: 28672, 28k or 28Ki.",
)
@click.option(
    "--costs",
    metavar="FILE",
    panel=options.NUMBERS,
    help="Choose kernels by this table, which 'qir bench kernels --save' has measured.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    panel=options.NUMBERS,
    help="Cut heavy layers of C into up to N pieces, which net_run_on runs on threads that its caller gives.",
)
@click.option(
    "--requantization",
    type=click.Choice(get_args(Requantization)),
    panel=options.NUMBERS,
    help="How C makes codes of sums: as onnxruntime, or by integers alone, which targets without an FPU do.",
)
@click.option(
    "--io",
    type=click.Choice(WAYS),
    default="model",
    show_default=True,
    panel=options.OUTPUT,
    help="How C takes inputs and gives outputs. model: reals in row-major order, and codes. native: codes as the "
    "layers have them, channels last. arena: the same, inside the arena.",
)
@click.option(
    "--state",
    multiple=True,
    metavar="INPUT=OUTPUT",
    panel=options.OUTPUT,
    help="The output of C is the value of the input in the next run: hidden states, caches.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    panel=options.OUTPUT,
    help="The .onnx file, or the folder of C. By default NAME.qdq.onnx or NAME-TARGET/, here.",
)
@click.option(
    "--name",
    default="net",
    show_default=True,
    panel=options.OUTPUT,
    metavar="NAME",
    help="Of the C files and functions.",
)
@click.option(
    "--weights",
    type=click.Choice(CHOICES),
    default="auto",
    show_default=True,
    panel=options.OUTPUT,
    help="How C holds large arrays: as text, or as a .bin file that the assembler of gcc and clang, or C23's #embed, "
    "takes in, which builds in a second. blob: a file of its own, which net_init takes. auto: c up to 1 MiB, else asm.",
)
@click.option(
    "--example",
    type=click.Choice(EXAMPLES),
    panel=options.OUTPUT,
    help="Also write a folder whose 'make run' builds the self-test for the target's core and runs it in an emulator: "
    "start-up code, linker script, Makefile.",
)
@click.option(
    "--package",
    type=click.Choice(tuple(LAYOUTS)),
    default="cmake",
    show_default=True,
    panel=options.OUTPUT,
    help="The layout of the folder of C: a CMake project, a Makefile, an Arduino library, a Zephyr module, an ESP-IDF "
    "component, a CMSIS-Pack.",
)
@click.option("--single-file", is_flag=True, panel=options.OUTPUT, help="Write C as one source file and one header.")
@click.option(
    "--trace",
    metavar="FOLDER",
    panel=options.OUTPUT,
    help="Also write the graph after every pass; 'qir opt' can go on from each.",
)
@click.option("--report", is_flag=True, panel=options.OUTPUT, help="Print what was done, layer by layer.")
@click.option(
    "--explain", is_flag=True, panel=options.OUTPUT, help="Print what computes each node, and why nothing faster does."
)
@options.as_json
@click.option(
    "--check-promises",
    is_flag=True,
    panel=options.CHECK,
    help="Run the network before and after every pass that promises equal results, and compare.",
)
@click.option(
    "--verify",
    is_flag=True,
    panel=options.CHECK,
    help="Run the result on samples and say how far it is from the float model.",
)
@options.debug
def compile_command(
    model: str, calib: str | None, preprocess: str | None, shape: tuple[str, ...], bind: tuple[str, ...], target: str,
    recipe: str, override: tuple[str, ...], output: str | None, weights: str, example: str | None, package: str,
    single_file: bool, trace: str | None, state: tuple[str, ...], report: bool, explain: bool, as_json: bool,
    check_promises: bool, verify: bool, **choices: Any,
) -> None:  # fmt: skip
    """Quantize MODEL and write it as QDQ ONNX or as self-contained C."""
    # `choices` are arguments of qir.compile, by their names there.
    from qir.api import compile
    from qir.cli.inputs import load
    from qir.compiled import CompiledC
    from qir.passmanager.instruments import PromiseChecker

    loaded = load(model, shape, bind, calib, preprocess, target, recipe, override, choices["seed"])
    forms = {"--weights": weights if weights != "auto" else None, "--example": example,
             "--package": package if package != "cmake" else None, "--single-file": single_file or None}  # fmt: skip
    for option, value in forms.items():
        if value and loaded.target.backend != "c":
            raise RecipeError(f"{option} is a form of C, and target {target} makes none", fix="Leave it out")
    path = _output(model, output, loaded)
    for place in (path, *([Path(trace)] if trace else [])):
        check_writable(place)
    instruments = [PromiseChecker(loaded.samples())] if check_promises else []
    result = compile(
        loaded.graph, loaded.feeds, target=target, recipe=loaded.recipe, preprocess=loaded.preprocess,
        trace=trace or False, instruments=instruments, state=_pairs(state) or None, **choices,
    )  # fmt: skip
    checked = _verify(result, loaded) if verify else {}
    make_parent(path)
    if isinstance(result, CompiledC):
        where = result.save(path, weights, example or "", package, single_file)
    else:
        where = result.save(path)
    facts: dict[str, Any] = {
        "paths": written_files(where),
        "target": target,
        "recipe": recipe,
        "sizes": dict(result.sizes),
        "notes": list(result.notes),
        "passes": [{"pass": label, "seconds": round(seconds, 6)} for label, seconds in result.timer.seconds],
        "runs_as": dict(sorted(result.operators().items())),
        "seconds": round(result.seconds, 6),
    }
    facts |= {"verify": checked} if verify else {}
    facts |= {"report": result.report()} if report else {}
    facts |= {"explain": result.explain()} if explain else {}
    click.echo(json.dumps(facts, indent=2) if as_json else _text(facts, where))


def _pairs(state: tuple[str, ...]) -> dict[str, str]:
    """Output to input of --state INPUT=OUTPUT."""
    pairs = [text.partition("=") for text in state]
    for text, (name, _, output) in zip(state, pairs, strict=True):
        if not name or not output:
            raise RecipeError(f"--state {text} is no pair", fix="Write --state INPUT=OUTPUT")
    return {output: name for name, _, output in pairs}


def _output(model: str, output: str | None, loaded: Loaded) -> Path:
    """The file or folder to write; a folder given for an ONNX file gets it under the model's name."""
    stem = Path(model).stem
    if loaded.target.backend == "c":
        return Path(output) if output else Path(f"{stem}-{loaded.target.name}")
    path = Path(output) if output else Path(f"{stem}.qdq.onnx")
    return path / f"{stem}.qdq.onnx" if path.is_dir() or (output or "").endswith(("/", "\\")) else path


def _verify(result: Any, loaded: Loaded) -> dict[str, dict[str, float | str]]:
    """How far the compiled outputs are from those of the float model, by output."""
    from qir.evaluate import evaluate
    from qir.quant.error import max_abs, sqnr

    samples = loaded.samples()
    reference, found = evaluate(loaded.graph, loaded.normalised(samples)), result.run(samples)
    kind = "the first calibration samples" if loaded.feeds is not None else "random inputs"
    return {
        name: {"sqnr_db": round(min(sqnr(reference[name], found[name]), 999.0), 2),
               "max_abs": float(max_abs(reference[name], found[name])), "on": kind}
        for name in loaded.graph.outputs
        if reference[name].dtype.kind == "f"
    }  # fmt: skip


def _text(facts: dict[str, Any], where: Path) -> str:
    from qir.debug.report import bytes_text

    files = facts["paths"]
    lines = [f"wrote {where}" + (f" ({len(files)} files)" if len(files) > 1 or where.is_dir() else "")]
    lines += [f"  {label}: {bytes_text(value)}" for label, value in facts["sizes"].items()]
    lines += ["  runs as: " + ", ".join(f"{count} {op}" for op, count in facts["runs_as"].items())]
    lines += [f"  note: {note}" for note in facts["notes"]]
    for name, row in facts.get("verify", {}).items():
        far = f"{row['sqnr_db']:.1f} dB SQNR, {row['max_abs']:.3g} max abs"
        lines.append(f"  {name}: {far} against float, on {row['on']}")
    lines.append(f"  {facts['seconds']:.1f} s")
    for key in ("report", "explain"):
        lines += ["", facts[key]] if key in facts else []
    return "\n".join(lines)
