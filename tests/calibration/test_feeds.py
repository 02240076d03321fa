import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.calibration import Preprocess, feeds
from qir.errors import DataError
from qir.ir.dtype import BFLOAT16, BOOL, FLOAT16, FLOAT32, INT64, STRING
from qir.ir.types import SequenceType, TensorType


def image_input(batch, *rest, dtype=FLOAT32):
    return {"x": TensorType(dtype, (batch, *rest))}


def rows_of(batches, name="x"):
    return np.concatenate([batch[name][: batch.valid] for batch in batches])


DATA = np.random.default_rng(0).normal(size=(10, 3, 4, 4)).astype(np.float32)


@pytest.mark.parametrize(
    "data",
    [
        DATA,
        DATA.astype(np.float64),
        {"x": DATA},
        list(DATA),
        tuple(DATA),
        [DATA[:7], DATA[7:]],
        [{"x": part} for part in DATA],
        [(part,) for part in DATA],
        lambda: iter(DATA),
        lambda: DATA,
        DATA.tolist(),
    ],
    ids=["array", "float64", "dict", "list", "tuple", "parts", "dicts", "tuples", "callable", "array-callable",
         "nested-lists"],
)  # fmt: skip
@pytest.mark.parametrize("model_batch", ["N", None, 1, 4, 16])
def test_every_form_gives_the_same_batches(data, model_batch):
    result = feeds(data, image_input(model_batch, 3, 4, 4), batch=None if isinstance(model_batch, int) else 4)
    size = model_batch if isinstance(model_batch, int) else 4
    for _ in range(2):
        batches = list(result)
        assert np.array_equal(rows_of(batches), DATA)
        assert len(result) == len(batches) == -(-10 // size)
        assert result.n_samples == 10
        for batch in batches:
            assert batch["x"].dtype == np.float32
            assert batch["x"].flags.c_contiguous
            assert batch["x"].shape[0] == batch.size
            assert batch.size == size or (batch.size == batch.valid and not isinstance(model_batch, int))


@pytest.mark.parametrize("model_batch", ["N", 1])
def test_stack_of_whole_inputs(model_batch):
    result = feeds(DATA[:, None], image_input(model_batch, 3, 4, 4))
    assert np.array_equal(rows_of(result), DATA)


def test_stacks_of_different_lengths():
    types = {**image_input(1, 3, 4, 4), "y": TensorType(FLOAT32, (1, 2))}
    with pytest.raises(DataError, match=r"inputs 'x', 'y' have different numbers of samples: \[9, 10\]"):
        feeds({"x": DATA[:, None], "y": np.ones((9, 1, 2))}, types)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), st.sampled_from(["N", 1, 3, 8]), st.integers(1, 9))
def test_grouping_of_samples_does_not_matter(sizes, model_batch, batch):
    total = sum(sizes)
    data = np.arange(total * 2, dtype=np.float32).reshape(total, 2)
    parts = np.split(data, np.cumsum(sizes)[:-1])
    batch = None if isinstance(model_batch, int) else batch
    if not total:
        with pytest.raises(DataError, match="no samples"):
            feeds(parts, image_input(model_batch, 2), batch=batch)
        return
    batches = list(feeds(parts, image_input(model_batch, 2), batch=batch))
    whole = list(feeds(data, image_input(model_batch, 2), batch=batch))
    assert np.array_equal(rows_of(batches), data)
    assert [(b.valid, b.size) for b in batches] == [(b.valid, b.size) for b in whole]
    assert all(b.valid == b.size for b in batches[:-1])
    # A completed batch repeats data, so it brings in no new extremes.
    assert all(np.isin(b["x"], b["x"][: b.valid]).all() for b in batches)


def test_one_shot_iterators_are_kept():
    seen = []

    def produce():
        for number in range(9):
            seen.append(number)
            yield {"x": np.full((2, 5), number, np.float32), "flag": np.array(number % 2 == 0)}

    types = {"x": TensorType(FLOAT32, ("N", 5)), "flag": TensorType(BOOL, ())}
    result = feeds(produce(), types, batch=0)
    assert (len(result), result.n_samples, len(seen)) == (9, 18, 9)
    first, second = list(result), list(result)
    assert len(seen) == 9
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        assert (a["x"] == number).all()
        assert np.array_equal(a["x"], b["x"])
        assert a["flag"] == (number % 2 == 0)
        assert a["flag"].shape == ()


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16, INT64, STRING])
def test_spooled_types(dtype):
    words = np.array(["a", "bc", ""]) if dtype == STRING else np.arange(3).astype(dtype.numpy)
    result = feeds(iter([words, words]), {"x": TensorType(dtype, ("N",))})
    for _ in range(2):
        (batch,) = result
        assert batch["x"].tolist() == [*words.tolist(), *words.tolist()]


def test_open_shapes_run_apart():
    shapes = [(3, 8, 8), (3, 8, 8), (3, 9, 5), (3, 8, 8)]
    data = [np.full(shape, number, np.float32) for number, shape in enumerate(shapes)]
    batches = list(feeds(data, image_input("N", 3, "H", "W")))
    assert [b["x"].shape for b in batches] == [(2, 3, 8, 8), (1, 3, 9, 5), (1, 3, 8, 8)]
    assert list(feeds(data, image_input(2, 3, "H", "W")))[1]["x"].shape == (2, 3, 9, 5)
    texts = [np.arange(length) for length in (3, 5)]
    assert [b["x"].shape for b in feeds(texts, image_input(1, "T", dtype=INT64))] == [(1, 3), (1, 5)]


def test_batch_0_runs_items_as_they_are():
    parts = [DATA[:7], DATA[7:], DATA[0]]
    assert [b.size for b in feeds(parts, image_input("N", 3, 4, 4), batch=0)] == [7, 3, 1]


def test_several_inputs_some_without_a_batch_axis():
    types = {
        "x": TensorType(FLOAT32, ("N", 6)),
        "h": TensorType(FLOAT32, (2, "N", 3)),
        "sr": TensorType(INT64, ()),
    }
    x, h = np.random.default_rng(0).normal(size=(7, 6)), np.random.default_rng(1).normal(size=(2, 7, 3))
    batches = list(feeds({"x": x, "h": h, "sr": 16000}, types, batch=3))
    assert [b.size for b in batches] == [3, 3, 1]
    assert np.array_equal(np.concatenate([b["h"] for b in batches], 1), h.astype(np.float32))
    assert all(b["sr"] == 16000 and b["sr"].dtype == np.int64 for b in batches)
    items = [(x[i], h[:, i], np.array(rate)) for i, rate in enumerate([8000, 8000, 16000])]
    assert [b.size for b in feeds(items, types)] == [2, 1]
    with pytest.raises(DataError, match="7 for 'x', 5 for 'h'"):
        feeds({"x": x, "h": h[:, :5], "sr": 1}, types)


def test_an_input_given_once_serves_every_batch():
    types = {"x": TensorType(FLOAT32, (1, 6)), "h": TensorType(FLOAT32, (1, 1, 3))}
    batches = list(feeds({"x": np.ones((5, 6)), "h": np.full((1, 1, 3), 2.0)}, types))
    assert len(batches) == 5
    assert all((b["h"] == 2).all() and b["h"].shape == (1, 1, 3) for b in batches)


def test_models_without_a_batch_axis():
    types = {"x": TensorType(FLOAT32, ())}
    assert [float(b["x"]) for b in feeds(np.arange(3.0), types)] == [0, 1, 2]
    assert len(list(feeds(5.0 * np.ones(()), types))) == 1
    unknown = {"x": TensorType(FLOAT32, None)}
    assert [b["x"].shape for b in feeds([np.ones((2, 3)), np.ones(4)], unknown)] == [(2, 3), (4,)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"y": DATA}, r"nothing for 'x' and unknown 'y'.*inputs are 'x' float32\[N,3,4,4\]"),
        ({"x": DATA, "label": DATA}, "unknown 'label'"),
        (DATA[:, :, :3], r"tensor 'x': the data has shape \[10, 3, 3, 4\]: 3 on axis 2, where the model wants 4"),
        (DATA.transpose(0, 2, 3, 1), "seems to be NHWC"),
        (DATA[0, 0], r"shape \[4, 4\], the model wants float32\[N,3,4,4\]"),
        (np.where(DATA > 2, np.nan, DATA), "holds NaN"),
        (np.where(DATA > 2, np.inf, DATA), "holds Inf"),
        (DATA.astype(np.float64) * 1e300, "too large"),
        (DATA.astype(np.complex64), "the data is complex64, the model wants float32"),
        (DATA > 0, "the data is bool"),
        (np.full((1, 3, 4, 4), 2**24 + 1), "integers beyond 16777216"),
        (DATA[:0], "no samples"),
        ([], "no samples"),
        (iter(()), "no samples"),
        (lambda: [], "no samples"),
        (None, "no data"),
        (5, "int is not a source"),
        (b"abc", "bytes is not a source"),
        ([(DATA, np.ones(10))], "2 arrays for 1 inputs"),
        ([[np.ones(3), np.ones(4)]], "2 arrays for 1 inputs"),
        ({"x": [np.ones((3, 4, 4)), np.ones((3, 4, 5))]}, "tensor 'x': list cannot be taken as an array"),
        (np.array([object()]), "Python objects"),
        ("nowhere.npz", "there is no file"),
    ],
)
def test_data_that_does_not_fit_is_explained(data, message):
    with pytest.raises(DataError, match=message):
        list(feeds(data, image_input("N", 3, 4, 4)))


def test_integers_are_cast_where_nothing_is_lost():
    (batch,) = feeds(np.arange(4, dtype=np.uint8)[:, None], image_input("N", 1))
    assert batch["x"].dtype == np.float32
    (batch,) = feeds(np.arange(4, dtype=np.int32)[:, None], image_input("N", 1, dtype=INT64))
    assert batch["x"].dtype == np.int64
    with pytest.raises(DataError, match="float64, the model wants int64"):
        feeds(np.ones((2, 1)), image_input("N", 1, dtype=INT64))
    with pytest.raises(DataError, match="outside int64"):
        feeds(np.full((2, 1), 2**63, np.uint64), image_input("N", 1, dtype=INT64))


def test_several_inputs_need_names():
    types = {"a": TensorType(FLOAT32, ("N", 2)), "b": TensorType(FLOAT32, ("N", "T"))}
    with pytest.raises(DataError, match=r"one array for 2 inputs.*dicts by name"):
        feeds(np.ones((3, 2)), types)
    types["c"] = TensorType(FLOAT32, ("N", "T"))
    with pytest.raises(DataError, match="size 'T' is 5 here and 4 in 'b'"):
        feeds({"a": np.ones((1, 2)), "b": np.ones((1, 4)), "c": np.ones((1, 5))}, types)


def test_settings_that_make_no_sense():
    with pytest.raises(DataError, match="own batch size is 4"):
        feeds(DATA, image_input(4, 3, 4, 4), batch=2)
    with pytest.raises(DataError, match="batch is -1"):
        feeds(DATA, image_input("N", 3, 4, 4), batch=-1)
    with pytest.raises(DataError, match="folders of pictures only"):
        feeds(DATA, image_input("N", 3, 4, 4), preprocess=Preprocess())
    with pytest.raises(DataError, match="tensor 's': inputs that are not tensors"):
        feeds(DATA, {"s": SequenceType(TensorType(FLOAT32))})


def test_feeds_pass_through():
    result = feeds(DATA, image_input("N", 3, 4, 4))
    assert feeds(result, image_input("N", 3, 4, 4)) is result


def test_length_of_a_callable_is_known_after_a_pass():
    result = feeds(lambda: iter(DATA), image_input("N", 3, 4, 4), batch=4)
    assert result.n_samples is None
    with pytest.raises(TypeError):
        len(result)
    list(result)
    assert (len(result), result.n_samples) == (3, 10)


def test_files(tmp_path):
    types = image_input("N", 3, 4, 4)
    np.save(tmp_path / "x.npy", DATA)
    np.savez(tmp_path / "named.npz", x=DATA)
    np.savez(tmp_path / "bare.npz", DATA)
    for name in ("x.npy", "named.npz", "bare.npz"):
        result = feeds(tmp_path / name, types, batch=4)
        assert np.array_equal(rows_of(result), DATA)
        assert type(next(iter(result))["x"]) is np.ndarray
    np.savez(tmp_path / "zoo.npz", x_u8=DATA, y=DATA)
    with pytest.raises(DataError, match="nothing for 'x' and unknown 'x_u8', 'y'"):
        feeds(str(tmp_path / "zoo.npz"), types)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        feeds(tmp_path / "objects.npy", types)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read"):
        feeds(tmp_path / "broken.npz", types)
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"Give \.npz"):
        feeds(tmp_path / "data.csv", types)
