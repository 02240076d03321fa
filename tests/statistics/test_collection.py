import itertools

import numpy as np
import pytest

from qir.errors import DataError, OutputError
from qir.statistics import Statistics

PRINTS = {"x": "f1", "conv": "f2"}


@pytest.fixture
def statistics():
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(4, 3)), "conv": np.array([-1.0, 3.0])}
    return Statistics().update(arrays, PRINTS)


def test_update_merges_blocks(statistics):
    more = statistics.update({"conv": np.array([7.0])}, PRINTS)
    assert (more["conv"].count, more["conv"].high) == (3, 7)
    assert (statistics["conv"].count, statistics["conv"].high) == (2, 3)
    assert sorted(more) == ["conv", "x"]
    assert len(more) == 2
    assert "x" in more
    assert "y" not in more


def test_shards_of_whole_blocks_save_to_the_same_bytes_in_any_order(tmp_path):
    rng = np.random.default_rng(1)
    shards = [Statistics().update({"x": rng.normal(size=10**k, scale=10.0**k)}, PRINTS) for k in range(4)]
    seen = set()
    for order in itertools.permutations(shards):
        merged = order[0].merge(order[1]).merge(order[2].merge(order[3]))
        merged.save(tmp_path / "s.npz")
        seen.add((tmp_path / "s.npz").read_bytes())
    assert len(seen) == 1


def test_save_and_load(statistics, tmp_path):
    path = tmp_path / "statistics"
    statistics.drop(["x", "gone"], by="equalize").save(path)
    loaded = Statistics.load(path)
    assert loaded.dropped == {"x": "equalize", "gone": "equalize"}
    assert loaded.histogram("conv", "f2").state()[0] == statistics["conv"].state()[0]
    assert np.array_equal(loaded["conv"].counts, statistics["conv"].counts)
    loaded.save(tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_asking_for_what_is_not_there_names_value_and_pass(statistics):
    with pytest.raises(DataError, match=r"tensor 'y': no histogram was collected"):
        statistics["y"]
    with pytest.raises(DataError, match=r"tensor 'x': .*dropped by pass 'equalize'"):
        statistics.drop(["x"], by="equalize")["x"]
    with pytest.raises(DataError, match=r"tensor 'x': .*another sub-graph"):
        statistics.histogram("x", "f9")
    assert statistics.histogram("x", "f1") is statistics["x"]


def test_a_dropped_value_can_be_collected_again(statistics):
    again = statistics.drop(["x"], by="equalize").update({"x": np.ones(2)}, {"x": "f3"})
    assert again.histogram("x", "f3").count == 2


def test_merging_different_models_is_refused(statistics):
    with pytest.raises(DataError, match=r"tensor 'x': .*different sub-graphs"):
        statistics.merge(Statistics().update({"x": np.ones(1)}, {"x": "f9"}))
    assert "x" not in statistics.merge(Statistics().drop(["x"], by="p"))


def test_rename(statistics):
    renamed = statistics.drop(["lost"], by="p").rename({"x": "conv", "conv": "x", "lost": "found", "none": "y"})
    assert renamed["conv"] is statistics["x"]
    assert renamed["x"] is statistics["conv"]
    assert renamed.dropped == {"found": "p"}
    with pytest.raises(DataError, match="tensor 'conv'"):
        statistics.rename({"x": "conv"})


def test_scale(statistics):
    scaled = statistics.scale({"conv": -2.0, "none": 3.0})
    assert (scaled["conv"].low, scaled["conv"].high) == (-6, 2)
    assert scaled["x"] is statistics["x"]
    assert scaled.histogram("conv", "f2")


@pytest.mark.parametrize("content", [b"", b"PK nonsense", b"[]"])
def test_damaged_files(content, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a file of statistics"):
        Statistics.load(path)


def test_files_that_are_not_there(tmp_path, statistics):
    with pytest.raises(DataError, match="there is no file"):
        Statistics.load(tmp_path / "none.npz")
    with pytest.raises(OutputError, match="cannot write"):
        statistics.save(tmp_path / "no" / "folder.npz")


def test_other_archives_are_refused(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.ones(3))
    with pytest.raises(DataError, match="not a file of statistics"):
        Statistics.load(tmp_path / "data.npz")
