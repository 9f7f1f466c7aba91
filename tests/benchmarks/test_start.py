"""What the start of a run costs: the growth that is told, and the data that it is measured on."""

import pyarrow.parquet as pq

from tests.benchmarks.start import growth, slowest, write_examples
from tests.support.rows import load


def test_growth_is_that_from_the_smallest_set_to_the_largest():
    peaks = {(1, "empty", "features"): {1_000: 10.0, 500: 9.5, 100_000: 109.0}, (2, "full", "labels"): {1_000: 3.0}}
    assert growth(peaks)[2:] == ["| 1 | empty | features | 1049 |"]  # 99.5 MiB for 99,500 examples


def test_the_slowest_and_the_largest_process_count():
    assert slowest([{"labels": (1.0, 20.0)}, {"labels": (2.0, 10.0)}]) == {"labels": (2.0, 20.0)}


def test_examples_are_good_and_two_share_a_context(tmp_path):
    write_examples(tmp_path / "rows.parquet", 41)
    rows = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert len(load(tmp_path / "rows.parquet")) == 41
    assert len({row["context"] for row in rows}) == 21
