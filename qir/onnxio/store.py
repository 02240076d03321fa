"""Files: models, and graphs of any stage that reload as they were."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import onnx
from onnx import ModelProto, TensorProto

from qir.errors import ModelError, OutputError
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph
from qir.ir.types import TensorType
from qir.onnxio.names import all_graphs, all_values, fresh, with_bodies
from qir.onnxio.protos import TensorReader
from qir.onnxio.read import read_model
from qir.onnxio.sidetable import FORMAT, describe, in_onnx, restore
from qir.onnxio.source import open_source
from qir.onnxio.write import model_proto

LIMIT = (1 << 31) - (1 << 20)
"""Bytes of tensors that a protobuf file holds with certainty; its own limit is 2 GiB."""
_SMALL = 1024
_ALIGNMENT = 64
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
        for tensor in graph.initializer:
            if len(tensor.raw_data) < _SMALL:
                small.graph.initializer.append(tensor)
                continue
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            entry = small.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            entry.data_location = TensorProto.EXTERNAL
            for key, value in (("location", data.name), ("offset", file.tell()), ("length", len(tensor.raw_data))):
                entry.external_data.add(key=key, value=str(value))
            file.write(tensor.raw_data)
    return small


def save_graph(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Writes a graph of any stage as ONNX with a table of everything else inside; Netron opens it.

    Operators are the graph's own, so only FLOAT graphs without qir's operators run elsewhere; see `export`.

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
    save_model(model_proto(written, opsets, results_as_nodes=False), path)


def _expressible(graph: Graph) -> Graph:
    """The graph without the attributes that only the table holds."""
    nodes = []
    for node in graph.nodes:
        node = with_bodies(node, {key: _expressible(body) for key, body in node.subgraphs.items()})
        if not all(in_onnx(value) for value in node.attrs.values()):
            node = node.with_(attrs={key: value for key, value in node.attrs.items() if in_onnx(value)})
        nodes.append(node)
    return graph.with_(nodes=tuple(nodes))


def load_graph(path: str | os.PathLike[str]) -> Graph:
    """The graph that `save_graph` wrote, equal to the last bit.

    Raises:
        ModelError: if the file is no saved graph.
    """
    with open_source(path) as source:
        graph = read_model(source.proto, TensorReader(source.folder), fold_constants=False)
        label = source.label
    text = graph.metadata.get(_TABLE)
    if text is None:
        raise ModelError(f"{label} is a plain ONNX model, not a saved graph", fix="Read it with lift")
    table = json.loads(text)
    if table.get("format") != FORMAT:
        raise ModelError(f"{label} was saved by another version of qir", fix="Make it again with this one")
    arrays = {name: item for inner in all_graphs(graph) for name, item in inner.constants.items()}
    return restore(graph, table["graph"], arrays)
