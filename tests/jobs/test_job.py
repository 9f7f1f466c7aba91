"""Jobs: shards that are the same whoever makes them, and are not made twice."""

import os
import pickle
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa.errors import DataError, JobError, UsageError
from qa.jobs.answering import reader_spec
from qa.jobs.job import answer_shard, begin_job, finish_job, plan_job
from tests.support.commands import read_lines
from tests.support.predictors import pairs
from tests.support.rows import write

ROWS = [row | {"id": str(at % 9)} for at, row in enumerate(pairs(12))]


@pytest.fixture
def data(tmp_path):
    (tmp_path / "dä ta").mkdir()
    for at in range(3):
        write(tmp_path / "dä ta" / f"{at}.jsonl", ROWS[at * 4 : at * 4 + 4])
    return tmp_path / "dä ta"


@pytest.fixture
def job(spec, data, tmp_path):
    return plan_job(spec, data, tmp_path / "out", size=1500)


def run(job, **given):
    begin_job(job, **given)
    return finish_job(job, (answer_shard(job, shard) for shard in job.left))


def files(job):
    return {path.name: path.read_bytes() for path in sorted(job.out.iterdir())}


def test_a_job_answers_all_rows_in_order(job):
    assert len(job.shards) > 3
    assert run(job) == (12, 0)
    names = [job.path(shard).name for shard in range(len(job.shards))]
    assert list(files(job)) == ["_SUCCESS", "_job.json", *names]
    found = [line for name in names for line in read_lines(job.out / name)]
    assert [line["id"] for line in found] == [row["id"] for row in ROWS]


def test_shards_may_be_done_in_any_order_twice_and_by_copies(job, spec, data, tmp_path):
    run(job)
    other = pickle.loads(pickle.dumps(plan_job(spec, data, tmp_path / "other", size=1500)))
    begin_job(other)
    order = list(reversed(range(len(other.shards))))
    finish_job(other, (answer_shard(other, shard) for shard in order + order))
    assert {name: content for name, content in files(other).items() if name.startswith("part")} == {
        name: content for name, content in files(job).items() if name.startswith("part")
    }


def test_a_job_goes_on_where_it_was_killed(job):
    """With what a killed attempt left behind removed, and finished shards as they are."""
    run(job)
    wanted = files(job)
    kept = job.path(0).stat().st_mtime_ns
    job.path(1).unlink()
    (job.out / "_SUCCESS").unlink()
    (job.out / f".{job.path(1).name}.abc").write_text("torn")
    with pytest.raises(UsageError, match="wanted another name, --resume or --overwrite"):
        begin_job(job)
    assert run(job, resume=True).rows == len(wanted[job.path(1).name].splitlines())
    assert files(job) == wanted
    assert job.path(0).stat().st_mtime_ns == kept
    assert run(job, resume=True) == (0, 0)


def test_only_the_same_work_is_gone_on_with(job, spec, data, folder):
    run(job)
    other = reader_spec(str(folder), device="cpu", top_k=2)
    with pytest.raises(UsageError, match="made of something else: reader"):
        begin_job(plan_job(other, data, job.out, size=1500), resume=True)
    with pytest.raises(UsageError, match=r"columns: None there and .*id"):
        begin_job(plan_job(spec, data, job.out, kept=["id"], size=1500), resume=True)
    os.utime(data / "0.jsonl", ns=(1, 1))
    with pytest.raises(UsageError, match="made of something else: files"):
        begin_job(job, resume=True)
    assert run(job, overwrite=True) == (12, 0)
    with pytest.raises(UsageError, match="wanted one of them"):
        begin_job(job, resume=True, overwrite=True)


def test_a_folder_of_something_else_is_never_replaced(job):
    job.out.mkdir()
    (job.out / "thesis.txt").write_text("mine")
    for given in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="is not what a job makes"):
            begin_job(job, **given)
    assert (job.out / "thesis.txt").read_text() == "mine"


def test_a_broken_reader_ends_the_job_at_once(data, tmp_path):
    job = plan_job(reader_spec(str(tmp_path / "none"), device="cpu"), data, tmp_path / "out", size=1500)
    with pytest.raises(JobError, match=r"part-00000.jsonl: ModelError: .*--resume goes on from there"):
        run(job)
    assert answer_shard(job, 1).failure.startswith("part-00000")
    assert not list(job.out.glob("*part*"))
    begin_job(job, resume=True)
    assert not (job.out / "_FAILURE").exists()


def test_a_folder_that_cannot_be_written_ends_the_job(job):
    done = answer_shard(replace(job, out=job.out / "gone"), 0)
    assert done.failure.startswith("part-00000.jsonl: FileNotFoundError")


def test_parquet_and_lines_are_told_by_their_content(spec, tmp_path):
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "data" / "rows.bin")
    job = plan_job(spec, tmp_path / "data", tmp_path / "out")
    assert job.format == "parquet"
    assert run(job) == (12, 0)
    assert pq.read_table(job.out)["id"].to_pylist() == [row["id"] for row in ROWS]  # other files are not in the way
    write(tmp_path / "data" / "more.jsonl", ROWS)
    with pytest.raises(DataError, match="found Parquet and other files"):
        plan_job(spec, tmp_path / "data", tmp_path / "out")


def test_no_rows_are_one_empty_file(spec, tmp_path):
    job = plan_job(spec, write(tmp_path / "empty.jsonl", ""), tmp_path / "out")
    assert run(job) == (0, 0)
    assert job.path(0).read_bytes() == b""


def test_answers_are_not_written_among_the_data(spec, data):
    with pytest.raises(UsageError, match="lies in the data"):
        plan_job(spec, data, data / "out")
