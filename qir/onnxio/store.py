"""Files: models, and graphs of any stage that reload as they were."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import onnx
from onnx import ModelProto

from qir.errors import ModelError, OutputError
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph
from qir.ir.types import TensorType
from qir.onnxio.arrays import ArrayFile, ArrayPool, SharingReader
from qir.onnxio.names import all_graphs, all_values, fresh, with_bodies
from qir.onnxio.read import read_model
from qir.onnxio.sidetable import FORMAT, describe, in_onnx, restore
from qir.onnxio.source import open_source
from qir.onnxio.write import model_proto

LIMIT = (1 << 31) - (1 << 20)
"""Bytes of tensors that a protobuf file holds with certainty; its own limit is 2 GiB."""
_TABLE = "qir.graph"


def save_model(proto: ModelProto, path: str | os.PathLike[str], *, limit: int = LIMIT) -> None:
    """Writes a model; a reader finds the old file or the new one, never half of it.

    Args:
        proto: not changed.
        path: of the .onnx file; tensors go to `<path>.data` beside it if they are too many for one file.
        limit: bytes of tensors from which on the second file is made.

    Raises:
        OutputError: if the files cannot be written.
    """
    target = Path(path)
    if sum(len(item.raw_data) for item in proto.graph.initializer) > limit:
        proto = _outsourced(proto, target.with_name(target.name + ".data"))
    with _replacing(target) as file:
        file.write(proto.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
        os.replace(beside, target)
    except OSError as error:
        raise OutputError(
            f"'{target}' cannot be written ({error.strerror or error})",
            fix="Choose a folder that exists and is writable",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _outsourced(proto: ModelProto, data: Path) -> ModelProto:
    """The model with its larger tensors in a file of their own; whole messages of that size cannot be copied."""
    small = ModelProto(
        ir_version=proto.ir_version, producer_name=proto.producer_name, producer_version=proto.producer_version,
        domain=proto.domain, model_version=proto.model_version, doc_string=proto.doc_string,
        opset_import=proto.opset_import, metadata_props=proto.metadata_props, functions=proto.functions,
    )  # fmt: skip
    graph = proto.graph
    small.graph.MergeFrom(
        onnx.GraphProto(name=graph.name, node=graph.node, input=graph.input, output=graph.output,
                        value_info=graph.value_info, doc_string=graph.doc_string)
    )  # fmt: skip
    with _replacing(data) as file:
        arrays = ArrayFile(file, data.name)
        small.graph.initializer.extend(arrays.outsourced(tensor) for tensor in graph.initializer)
    return small


def save_graph(graph: Graph, path: str | os.PathLike[str], *, arrays: ArrayFile | None = None) -> None:
    """Writes a graph of any stage as ONNX with a table of everything else inside; Netron opens it.

    Operators are the graph's own, so only FLOAT graphs without qir's operators run elsewhere; see `export`.

    Args:
        arrays: a file in the same folder, which then holds the larger constants.

    Raises:
        OutputError: if the file cannot be written.
    """
    names: dict[str, str] = {}
    taken = set(all_values(graph))
    extra: dict[str, Constant] = {}
    for inner in all_graphs(graph):
        for name, constant in inner.constants.items():
            if constant.codes is not None:
                names[name] = fresh(f"{name}_codes", taken)
                extra[names[name]] = Constant(constant.codes)
    table = {"format": FORMAT, "graph": describe(graph, names)}
    types = {name: TensorType(of_array(item.value), item.value.shape) for name, item in extra.items()}
    written = _expressible(graph)
    written = written.with_(
        constants={**written.constants, **extra},
        types={**written.types, **types},
        metadata={**written.metadata, _TABLE: json.dumps(table, separators=(",", ":"))},
    )
    used = {node.domain for _, node in graph.walk()}
    opsets = {**{domain: 1 for domain in used if domain}, **graph.opsets}
    values = {name: constant.value for name, constant in written.constants.items()}
    outside = {name: value for name, value in values.items() if arrays is not None and arrays.takes(value)}
    inside = {name: constant for name, constant in written.constants.items() if name not in outside}
    proto = model_proto(written.with_(constants=inside), opsets, results_as_nodes=False)
    if arrays is not None:
        proto.graph.initializer.extend(arrays.entry(value, name) for name, value in outside.items())
    save_model(proto, path)


def _expressible(graph: Graph) -> Graph:
    """The graph without the attributes that only the table holds."""
    nodes = []
    for node in graph.nodes:
        node = with_bodies(node, {key: _expressible(body) for key, body in node.subgraphs.items()})
        if not all(in_onnx(value) for value in node.attrs.values()):
            node = node.with_(attrs={key: value for key, value in node.attrs.items() if in_onnx(value)})
        nodes.append(node)
    return graph.with_(nodes=tuple(nodes))


def load_graph(path: str | os.PathLike[str], *, pool: ArrayPool | None = None) -> Graph:
    """The graph that `save_graph` wrote, equal to the last bit.

    Args:
        pool: of the arrays of graphs that were read before; equal ones become the same object.

    Raises:
        ModelError: if the file is no saved graph, or damaged.
    """
    pool = ArrayPool() if pool is None else pool
    with open_source(path) as source:
        graph = read_model(source.proto, SharingReader(source.folder, pool), fold_constants=False)
        label = source.label
    text = graph.metadata.get(_TABLE)
    if text is None:
        raise ModelError(f"{label} is a plain ONNX model, not a saved graph", fix="Read it with lift")
    try:
        table = json.loads(text)
        if table.get("format") != FORMAT:
            raise ModelError(f"{label} was saved by another version of qir", fix="Make it again with this one")
        arrays = {name: item for inner in all_graphs(graph) for name, item in inner.constants.items()}
        found = restore(graph, table["graph"], arrays)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{label} is damaged: its table does not fit its graph ({error})",
                         fix="Make it again") from error  # fmt: skip
    return found.with_(constants={name: pool.constant(item) for name, item in found.constants.items()})
