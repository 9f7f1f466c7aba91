"""The benchmark goes from texts and labels to its table, and goes on where it was."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adaptation.test_clozes import FILLERS, TEXT
from tests.benchmarks import few_labels
from tests.support import tiny
from tests.support.sweeps import calls, write_program

ADDS = """
score_more = 20 * ("adapt" in words.get("model", ""))
rate = 1e-3 * 10 ** (score_more / 10)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_program(tmp_path, ADDS)
    contexts = [TEXT.replace("Skarholm", name).replace("Lund", f"{name}sen") for name in ("Aker", "Bergen")]
    rows = [
        tiny.example("Where?", text, text[:14], id=f"r{at}", title="") for at, text in enumerate(contexts + FILLERS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:2]), tmp_path / "validation.parquet")

    def go(*arguments):
        sizes = ("--labels", "4", "8", "--seeds", "1", "2", "--questions", "50")
        monkeypatch.setattr(sys, "argv", ["few_labels", "--data", str(tmp_path), *sizes, *arguments])
        return few_labels.main()

    return go


def test_every_way_number_and_seed_is_run_once_and_compared(run, tmp_path):
    assert run() == 0  # 20 points more
    folder = tmp_path / "runs" / "few_labels"
    assert run() == 0
    assert sum(map(len, calls(folder, "way=*").values())) == 2 * 2 * 2 + 1  # and the adapted model without labels
    rows = {row["name"]: row for row in json.loads((folder / "table.json").read_text())}
    assert rows["4 labels, adapted"]["f1"] - rows["4 labels, labels alone"]["f1"] == pytest.approx(20)
    assert len(rows["8 labels, adapted"]["single"]) == 2
    assert "4 labels, adapted" in (folder / "table.md").read_text()


def test_a_smaller_set_of_labels_is_part_of_a_larger_one(run, tmp_path):
    run()
    folder = tmp_path / "runs" / "few_labels" / "labels"
    small, large = ((folder / f"{count}-1.jsonl").read_text().splitlines() for count in (4, 8))
    assert (len(small), large[:4]) == (4, small)
    assert small != (folder / "4-2.jsonl").read_text().splitlines()


def test_less_than_the_bar_is_a_failure(run, tmp_path):
    write_program(tmp_path)
    assert run("--out", "other") == 1


@pytest.mark.parametrize(("count", "said"), [(128, {}), (512, {}), (2048, {"training.epochs": 3.0})])
def test_many_labels_take_the_steps_of_512(count, said):
    assert few_labels.passes(count) == said
