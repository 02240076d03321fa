"""The arena of the measuring models: what is planned beside what no plan of the same calls can do without.

"All values" is what they take without a plan. The bound is the most bytes alive at once, or a larger one that the exact
search has proven: an arena as large is the least there is. "Repeated" are multiply-accumulates that strips do twice.

    QIR_ZOO=folder python tests/benchmarks/memory.py [--target NAME] [--recipe RECIPE] [--io WAY] [--max-ram SIZE]
        [MODEL ...]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

import qir


def compiled(path: Path, target: str, recipe: str, io: str = "model", max_ram: str | None = None) -> qir.CompiledC:
    """A model for one sample at a time, calibrated on noise: its values do not change what memory it takes."""
    model = onnx.load(path, load_external_data=False)
    known = {one.name for one in model.graph.initializer}
    shapes: dict[str, int] = {}
    feeds = {}
    for given in (one for one in model.graph.input if one.name not in known):
        dims = given.type.tensor_type.shape.dim
        shapes |= {dim.dim_param: 1 for dim in dims if dim.dim_param}
        sizes = [dim.dim_value or 1 for dim in dims]
        feeds[given.name] = np.random.default_rng(0).standard_normal((8, *sizes[1:])).astype(np.float32)
    made = qir.compile(path, calibration=None if recipe == "float" else feeds, target=target, recipe=recipe,
                       shapes=shapes, io=io, max_ram=max_ram)  # fmt: skip
    assert isinstance(made, qir.CompiledC)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names of folders in QIR_ZOO, or files; all of it")
    parser.add_argument("--target", default="portable")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--io", default="model")
    parser.add_argument("--max-ram")
    given = parser.parse_args()
    zoo = Path(os.environ.get("QIR_ZOO", "."))
    paths = [Path(name) if name.endswith(".onnx") else zoo / name / "model.onnx" for name in given.models]
    paths = paths or [*sorted(zoo.glob("*/model.onnx")), *sorted(zoo.glob("*/*/model.onnx")),
                      Path(__file__).parents[2] / "models" / "digits_cnn" / "model.onnx"]  # fmt: skip
    table = Table("model", title=f"arena, bytes: {given.recipe} for {given.target}")
    for column in ("all values", "arena", "bound", "above", "repeated"):
        table.add_column(column, justify="right")
    proven = 0
    for path in paths:
        program = compiled(path, given.target, given.recipe, given.io, given.max_ram).module.program
        every = sum(buffer.nbytes for buffer in program.buffers if buffer.place == "arena" or buffer.offset)
        above = program.arena_bytes / max(program.arena_lower_bound, 1) - 1
        proven += program.arena_bytes == program.arena_lower_bound
        table.add_row(path.parent.name, f"{every:,}", f"{program.arena_bytes:,}", f"{program.arena_lower_bound:,}",
                      f"{100 * above:.2f} %",
                      f"{100 * program.repeated_macs / max(program.macs, 1):.2f} %")  # fmt: skip
    Console(width=110).print(table)
    print(f"proven to be the least: {proven} of {len(paths)}")


if __name__ == "__main__":
    main()
