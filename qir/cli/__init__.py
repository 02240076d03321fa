"""The command `qir`.

Exit codes: 0 done; 2 something the user can mend, told in one message on stderr; 1 a mistake in qir; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click as plain
import rich_click as click

from qir import __version__
from qir.cli.bench import bench_command
from qir.cli.compile import compile_command
from qir.cli.debug import debug_command
from qir.cli.explain import explain_command
from qir.cli.inspect import inspect_command
from qir.cli.opt import opt_command
from qir.cli.options import DEBUG, debug, example
from qir.cli.targets import targets_command
from qir.errors import QirError
from qir.plugins import load_plugins

_EPILOG = example(
    "qir compile model.onnx --calib images.npz",
    "qir compile model.onnx --calib images.npz --target portable --shape N=1 -o net/",
    "qir opt model.onnx --passes fold-constants,fold-batchnorm --print-changed",
    "qir inspect model.onnx",
)


@click.group("qir", epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.rich_config(help_config=click.RichHelpConfiguration(text_markup="rich", max_width=110, show_arguments=True))
@click.version_option(__version__, prog_name="qir", message="%(prog)s %(version)s")
@debug
def command() -> None:
    """qir makes a trained network small and fast: float ONNX in, QDQ ONNX or self-contained C out."""
    load_plugins()


command.add_command(compile_command)
command.add_command(opt_command)
command.add_command(debug_command)
command.add_command(explain_command)
command.add_command(inspect_command)
command.add_command(targets_command)
command.add_command(bench_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    shown = os.environ.get("QIR_DEBUG", "") not in ("", "0") or "--debug" in given
    try:
        with command.make_context("qir", given or ["--help"]) as context:
            shown = shown or bool(context.meta.get(DEBUG))
            command.invoke(context)
        sys.stdout.flush()
    except plain.exceptions.Exit as wanted:
        return wanted.exit_code
    except plain.ClickException as error:
        asked = getattr(error, "ctx", None)
        path = asked.command_path if asked is not None else "qir"
        return _fail(f"{error.format_message()} See '{path} --help'.", 2, False)
    except QirError as error:
        return _fail(str(error), 2, shown)
    except (KeyboardInterrupt, plain.Abort):
        return _fail("interrupted", 130, shown)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _fail(
            f"internal error: {type(error).__name__}: {error}. This is a mistake in qir, not in your model: please "
            "report it with the command and, if you can, the model (QIR_DEBUG=1 shows where it arose).", 1, shown,
        )  # fmt: skip
    return 0


def _fail(message: str, code: int, shown: bool) -> int:
    if shown:
        traceback.print_exc()
    print(f"qir: {message}", file=sys.stderr)
    return code
