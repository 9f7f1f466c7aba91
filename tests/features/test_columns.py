"""Columns that are written piece by piece are those written at once; half written ones are none."""

import numpy as np
import pytest

from qa.features.columns import growing_columns, mapped_columns


@pytest.mark.parametrize("pieces", [[], [0], [1], [3, 0, 5], [1000, 1]])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_pieces_are_joined_and_mapped(pieces, dtype, tmp_path):
    nothing = np.empty(0, dtype)
    parts = [nothing, *(np.arange(count).astype(dtype) for count in pieces)]
    with growing_columns(tmp_path) as columns:
        columns.append(first=nothing)
        for part in parts:
            columns.append(second=part)
    np.save(tmp_path / "oracle.npy", np.concatenate(parts))
    found = mapped_columns(tmp_path)
    assert list(found) == ["first", "oracle", "second"]
    assert found["second"].dtype == dtype
    assert np.array_equal(found["second"], np.concatenate(parts))
    assert (tmp_path / "second.npy").read_bytes() == (tmp_path / "oracle.npy").read_bytes()
    assert not found["second"].flags.owndata
    assert not found["second"].flags.writeable


def write_and_fail(folder):
    with growing_columns(folder) as columns:
        columns.append(some=np.arange(9))
        raise OSError("full")


def test_what_fails_is_empty_however_much_was_written(tmp_path):
    with pytest.raises(OSError, match="full"):
        write_and_fail(tmp_path)
    assert len(mapped_columns(tmp_path)["some"]) == 0


def test_values_of_another_type_are_refused(tmp_path):
    with growing_columns(tmp_path) as columns:
        columns.append(some=np.arange(2))
        with pytest.raises(AssertionError, match="some"):
            columns.append(some=np.arange(2.0))
