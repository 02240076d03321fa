"""The sources of data that qir takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from qir.calibration.batches import Batch, batches
from qir.calibration.interface import Interface
from qir.calibration.preprocess import Preprocess, pictures
from qir.errors import DataError
from qir.ir.types import TensorType, ValueType

Source: TypeAlias = Callable[[], Iterable[Any]]


class Feeds:
    """Data as batches that fit the model; it can be gone through any number of times.

    Attributes:
        interface: the model's inputs.
    """

    def __init__(self, source: Source, interface: Interface, batch: int | None, sizes: tuple[int, int] | None) -> None:
        self.interface = interface
        self._source = source
        self._batch = batch
        self._sizes = sizes

    @property
    def may_be_cut(self) -> bool:
        """Whether a batch may run in parts: its size was qir's choice, not the model's or the caller's."""
        return self._batch is None and self.interface.joins and self.interface.fixed_batch is None

    def __iter__(self) -> Iterator[Batch]:
        number = samples = 0
        items = self._source()
        chunks = (chunk for item in items for chunk in self.interface.chunks(item))
        for batch in batches(chunks, self.interface, self._batch):
            yield batch
            number, samples = number + 1, samples + batch.valid
        if not number:
            raise DataError("the data holds no samples", fix="Give at least one; a hundred or more calibrate well")
        self._sizes = number, samples

    def __len__(self) -> int:
        """Number of batches.

        Raises:
            TypeError: while it is not known: for callables, iterables and pictures of their own sizes, until they have
                been gone through once.
        """
        if self._sizes is None:
            raise TypeError("the number of batches is not known before the data was gone through once")
        return self._sizes[0]

    @property
    def n_samples(self) -> int | None:
        """Number of samples, or None while it is not known (see `__len__`)."""
        return None if self._sizes is None else self._sizes[1]


class _Spool:
    """Batches of a one-shot iterator, kept in a temporary file that goes when this object does."""

    def __init__(self, stream: Iterable[Batch]) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="qir-")  # lives as long as this object
        self._batches: list[tuple[dict[str, np.ndarray | tuple[int, np.dtype, tuple[int, ...]]], int, int]] = []
        for batch in stream:
            entry: dict[str, np.ndarray | tuple[int, np.dtype, tuple[int, ...]]] = {}
            for name, array in batch.items():
                if array.dtype.hasobject or not array.size:  # text has no fixed size to map
                    entry[name] = array.copy()
                else:
                    entry[name] = (self._file.tell(), array.dtype, array.shape)
                    self._file.write(array.tobytes())
                    self._file.write(bytes(-self._file.tell() % 64))
            self._batches.append((entry, batch.valid, batch.size))
        self._file.flush()

    def __call__(self) -> Iterator[Batch]:
        for entry, valid, size in self._batches:
            arrays = {name: part if isinstance(part, np.ndarray) else self._read(*part) for name, part in entry.items()}
            yield Batch(arrays, valid, size)

    def _read(self, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape, dtype=np.int64))
        mapped = np.memmap(self._file, np.uint8, "r", offset, (count * dtype.itemsize,))
        return np.frombuffer(mapped, dtype).reshape(shape)


class _SpooledFeeds(Feeds):
    """Batches that were checked and cut before."""

    def __init__(self, spool: _Spool, interface: Interface, batch: int | None, sizes: tuple[int, int]) -> None:
        super().__init__(spool, interface, batch, sizes)
        self._spool = spool

    def __iter__(self) -> Iterator[Batch]:
        return self._spool()


def feeds(
    data: Any,
    graph_inputs: Mapping[str, ValueType],
    *,
    batch: int | None = None,
    preprocess: Preprocess | None = None,
) -> Feeds:
    """Data of any form as batches that fit a model.

    Args:
        data: one of
            - an array, for a model with one input: samples along the first axis, or a single one without it;
            - a dict of arrays by input name;
            - a list or tuple of samples or batches, each an array, a dict, or a tuple with one array an input; shapes
              may differ where the model's are open;
            - any other iterable of those; an iterator that can be read only once is copied to a temporary file;
            - a callable that returns such an iterable, called for every pass over the data;
            - the path of an .npy file, of an .npz file with one array an input, or of a folder of pictures.
        graph_inputs: types of the model's inputs.
        batch: samples run at once where the model leaves it open; 0 runs each array or dict as it is given.
        preprocess: how pictures of a folder become inputs.

    Raises:
        DataError: if the data does not fit the model; what can be seen in the first batch is raised here, the rest
            when the batch concerned is reached.
        MissingDependencyError: if pictures are given and Pillow is not installed.
    """
    kinds = {name: kind for name, kind in graph_inputs.items() if isinstance(kind, TensorType)}
    for name in graph_inputs:
        if name not in kinds:
            raise DataError("inputs that are not tensors cannot be fed", tensor=name, fix="Bind or remove this input")
    if batch is not None and batch < 0:
        raise DataError(f"batch is {batch}", fix="Give a positive number, or 0 to run the items as they are")
    interface = Interface(kinds)
    if batch and interface.fixed_batch not in (None, batch):
        raise DataError(f"batch is {batch}, but the model's own batch size is {interface.fixed_batch}",
                        fix="Leave `batch` out")  # fmt: skip
    if isinstance(data, Feeds):
        return data
    source, count = _source(data, interface, preprocess)
    result = Feeds(source, interface, batch, None)
    if isinstance(data, Iterator):
        spool = _Spool(result)
        return _SpooledFeeds(spool, interface, batch, (len(result), result.n_samples or 0))
    if isinstance(data, list | tuple):
        for _ in result:  # in memory already: check all of it now
            pass
        return result
    first = next(iter(result))
    return result if count is None else Feeds(source, interface, batch, (-(-count // first.size), count))


def _source(data: Any, interface: Interface, preprocess: Preprocess | None) -> tuple[Source, int | None]:
    """A function that starts a pass over the items, and the number of samples where all are of one shape."""
    folder = isinstance(data, str | Path) and Path(data).is_dir()
    if preprocess is not None and not folder:
        raise DataError("preprocess serves folders of pictures only",
                        fix="Give data=[preprocess.apply(pixels) for pixels in ...]")  # fmt: skip
    if folder:
        return _folder(Path(data), interface, preprocess)
    if isinstance(data, str | Path):
        data = _file(Path(data), interface)
    if data is None:
        raise DataError("no data was given")
    if isinstance(data, Mapping) or hasattr(data, "shape"):
        return (lambda: [data]), _rows(data, interface)
    if callable(data):
        return data, None
    if isinstance(data, Iterable) and not isinstance(data, bytes):
        return (lambda: data), None
    raise DataError(
        f"{type(data).__name__} is not a source of data",
        fix="Give arrays, a dict, an iterable, a callable, or the path of an .npz or .npy file or a folder of pictures",
    )


def _rows(data: Any, interface: Interface) -> int | None:
    if not interface.batch_axes:
        return None
    arrays = interface.name(data)
    if any(arrays[name].ndim != len(interface.inputs[name].shape or ()) for name in interface.batch_axes):
        return None
    return max(arrays[name].shape[axis] for name, axis in interface.batch_axes.items()) or None


def _file(path: Path, interface: Interface) -> Any:
    if not path.exists():
        raise DataError(f"there is no file '{path}'")
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"'{path}' is not a data file that qir reads", fix="Give .npz, .npy or a folder of pictures")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files if name in interface.inputs or name == "arr_0"}
            if list(loaded.files) == ["arr_0"] and len(interface.inputs) == 1:
                return arrays["arr_0"]
            # Names that the model does not know are refused by name, without loading their arrays.
            return {name: arrays.get(name) for name in loaded.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' cannot be read: {error}", fix="Save it again with numpy.savez") from error


def _folder(path: Path, interface: Interface, preprocess: Preprocess | None) -> tuple[Source, int | None]:
    files = pictures(path)
    if len(interface.inputs) != 1:
        raise DataError(f"a folder of pictures feeds one input, the model has {len(interface.inputs)}",
                        fix="Give dicts by name")  # fmt: skip
    if preprocess is None:
        raise DataError(f"'{path}' holds pictures, but nothing says how they become inputs",
                        fix="Give preprocess=Preprocess(mean=, std=, size=, layout=, color=)")  # fmt: skip
    count = None if preprocess.size is None else len(files)
    return (lambda: (preprocess.load(file) for file in files)), count
