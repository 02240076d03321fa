"""A trace as a folder: an .onnx file for every graph, the arrays of all of them in one file, the rest as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qir.backends
import qir.passes  # noqa: F401  (names the passes)
from qir import __version__
from qir.errors import DataError, OutputError, PassError, RecipeError
from qir.ir.graph import Graph
from qir.ir.text import graph_text
from qir.onnxio.arrays import ArrayFile, ArrayPool
from qir.onnxio.store import load_graph, save_graph
from qir.passmanager.base import Pass
from qir.passmanager.manager import Step
from qir.passmanager.registry import parse_pipeline, pipeline_text
from qir.plugins import load_plugins
from qir.recipe import Recipe
from qir.statistics import Statistics
from qir.target import Target
from qir.target import target as find_target

FORMAT = 1
_INDEX, _ARRAYS, _SAMPLES, _FIRST = "trace.json", "arrays.data", "samples.npz", "00-input.onnx"


@dataclass(frozen=True)
class Kept:
    """What the folder holds; the fields are those of `Trace`."""

    steps: tuple[Step, ...]
    passes: tuple[Pass, ...]
    target: Target | None
    recipe: Recipe
    seed: int
    samples: Mapping[str, np.ndarray] | None
    opening: tuple[str, ...]


def write(kept: Kept, folder: str | os.PathLike[str], *, text: bool = False) -> None:
    """Writes the folder, whole or not at all; see `Trace.save`.

    Raises:
        OutputError: where it cannot be written, or there is something that is no trace.
    """
    target = Path(folder)
    check_replaceable(target)
    try:
        with _replacing(target) as place:
            with (place / _ARRAYS).open("wb") as file:
                arrays = ArrayFile(file, _ARRAYS)
                for name, graph in _graphs(kept.steps).items():
                    save_graph(graph, place / name, arrays=arrays)
            if text:
                for name, graph in _graphs(kept.steps).items():
                    (place / name).with_suffix(".txt").write_text(graph_text(graph) + "\n", encoding="utf-8")
            if kept.samples is not None:
                _write_arrays(kept.samples, place / _SAMPLES)
            known = _statistics(kept.steps)
            for number, statistics in enumerate(known):
                statistics.save(place / _statistics_name(number), compress=False)
            index = json.dumps(_index(kept, known), indent=1, ensure_ascii=False)
            (place / _INDEX).write_text(index + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"folder '{target}' cannot be written ({error.strerror or error})",
                          fix="Choose a folder that you may write") from error  # fmt: skip


def check_replaceable(folder: Path) -> None:
    """Finds out whether a trace may be written there: nothing is, or an empty folder, or a trace.

    Raises:
        OutputError: if not.
    """
    try:
        blocked = folder.exists() and not is_trace(folder) and not (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be looked into ({error.strerror or error})",
                          fix="Choose another folder") from error  # fmt: skip
    if blocked:
        raise OutputError(f"'{folder}' is there and is no trace", fix="Choose another folder, or remove it")


def is_trace(folder: str | os.PathLike[str]) -> bool:
    """Whether `write` made a folder."""
    try:
        return "qir trace" in json.loads((Path(folder) / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder beside the target that takes its place at the end."""
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    new, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _graphs(steps: tuple[Step, ...]) -> dict[str, Graph]:
    """The graphs that differ, by file name."""
    if not steps:
        return {}
    return {_FIRST: steps[0].before} | {_file_name(step): step.after for step in steps if step.changed}


def _file_name(step: Step) -> str:
    return f"{step.number:02}-{step.applied.name.replace('/', '-')}.onnx"


def _statistics(steps: tuple[Step, ...]) -> list[Statistics]:
    """Every object once."""
    return list({id(step.statistics): step.statistics for step in steps if step.statistics is not None}.values())


def _statistics_name(number: int) -> str:
    return f"statistics-{number + 1}.npz" if number else "statistics.npz"


def _index(kept: Kept, statistics: list[Statistics]) -> dict[str, Any]:
    numbers = {id(item): number for number, item in enumerate(statistics)}
    return {
        "qir trace": FORMAT,
        "version": __version__,
        "target": None if kept.target is None else kept.target.name,
        "recipe": kept.recipe.to_toml(),
        "seed": kept.seed,
        "notes": list(kept.opening),
        "passes": pipeline_text(kept.passes),
        "samples": None if kept.samples is None else list(kept.samples),
        "statistics": len(statistics),
        "steps": [
            {
                "number": step.number,
                "pass": str(step.applied),
                "promise": step.applied.promise.value,
                "seconds": step.seconds,
                "nodes": len(step.after.nodes),
                "changed": step.changed,
                "graph": _file_name(step) if step.changed else None,
                "notes": list(step.notes),
                "statistics": None if step.statistics is None else numbers[id(step.statistics)],
            }
            for step in kept.steps
        ],
    }


def _write_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Numbered, as names may be anything; text as fixed-width, which needs no pickling."""
    plain = {str(n): a.astype(str) if a.dtype.kind == "O" else a for n, a in enumerate(arrays.values())}
    np.savez(path, **plain)  # type: ignore[arg-type]  # no key is an option


def read(folder: str | os.PathLike[str]) -> Kept:
    """Reads what `write` wrote; see `Trace.load`."""
    place = Path(folder)
    load_plugins()
    index = _read_index(place)
    try:
        samples = None if index["samples"] is None else _read_arrays(place / _SAMPLES, index["samples"])
        statistics = [Statistics.load(place / _statistics_name(number)) for number in range(index["statistics"])]
        steps = tuple(_read_steps(place, index["steps"], statistics))
        target = None if index["target"] is None else find_target(index["target"])
        planned = _passes(index["passes"])
        return Kept(steps, planned, target, Recipe.from_toml(index["recipe"]), int(index["seed"]), samples,
                    tuple(map(str, index["notes"])))  # fmt: skip
    except RecipeError as error:
        raise DataError(f"trace '{place}' cannot be used here: {error.what}", fix=error.fix) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(place, error) from error


def _damaged(place: Path, error: Exception) -> DataError:
    return DataError(f"trace '{place}' is damaged: {_INDEX} lacks or garbles something "
                     f"({type(error).__name__}: {error})", fix="Compile again with trace=")  # fmt: skip


def _read_index(place: Path) -> dict[str, Any]:
    try:
        index = json.loads((place / _INDEX).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"'{place}' is no trace: {_INDEX} cannot be read ({error.strerror or error})",
                        fix="Give a folder that compiling with trace= or `qir opt --dump` made") from error  # fmt: skip
    except ValueError as error:
        raise _damaged(place, error) from error
    if not isinstance(index, dict) or "qir trace" not in index:
        raise DataError(f"'{place}' is no trace", fix="Give a folder that compiling with trace= made")
    if index["qir trace"] != FORMAT:
        raise DataError(f"trace '{place}' was written by another version of qir ({index.get('version')})",
                        fix="Compile again with trace=")  # fmt: skip
    return index


def _read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[str(number)] for number, name in enumerate(names)}
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"'{path}' is missing or damaged ({error})", fix="Compile again with trace=") from error
    return {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in found.items()}


def _read_steps(place: Path, rows: list[dict[str, Any]], statistics: list[Statistics]) -> Iterator[Step]:
    pool = ArrayPool()
    graph = load_graph(place / _FIRST, pool=pool) if rows else None
    for number, row in enumerate(rows, 1):
        assert graph is not None
        if row["number"] != number:
            raise ValueError(f"step {number} has number {row['number']}")
        (applied,) = _passes(row["pass"])
        after = load_graph(place / Path(row["graph"]).name, pool=pool) if row["changed"] else graph
        known = None if row["statistics"] is None else statistics[row["statistics"]]
        yield Step(number, applied, graph, after, float(row["seconds"]), tuple(map(str, row["notes"])), known)
        graph = after


def _passes(text: str) -> tuple[Pass, ...]:
    try:
        return parse_pipeline(text)
    except PassError as error:
        raise PassError(
            f"the trace has '{text}', which cannot be made here: {error.what}",
            fix="Import the module that registers the pass (@qir.register_pass) first",
        ) from error
