"""Spark, really run: data frames, and jobs whose files are those of one process."""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="needs Spark, and Java 17; pip install 'extractive-qa[spark]'")

from pyspark.sql import SparkSession

import qa
from qa.cli.main import main
from qa.errors import ConfigError, DataError, JobError
from qa.jobs.answering import reader_spec
from qa.jobs.job import begin_job, finish_job, plan_job
from qa.jobs.tables import answer_schema
from tests.support.jobs import assert_kills_cost_nothing, locally, parts, write_rows
from tests.support.predictors import pairs, saved

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.filterwarnings("ignore")]  # of its own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def spec(folder):
    return reader_spec(str(folder), device="cpu")


@pytest.fixture(scope="module", autouse=True)
def spark():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false").getOrCreate()
    yield made
    made.stop()


def rows_file(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_a_frame_is_answered_row_by_row(spark, folder, tmp_path):
    rows = [row | {"id": at, "meta": {"tags": ["a", None]}} for at, row in enumerate(pairs(6))]
    rows.append({**rows[0], "context": None, "id": 6})
    frame = spark.read.parquet(rows_file(tmp_path / "rows.parquet", rows)).repartition(3)
    answered = qa.spark.answer_frame(frame, str(folder), device="cpu", top_k=2)
    assert answered.columns == [*frame.columns, *answer_schema(2).names]
    found = sorted((row.asDict(recursive=True) for row in answered.collect()), key=lambda row: row["id"])
    told = reader_spec(str(folder), device="cpu", top_k=2).load().told(rows)
    assert [row["answer"] for row in found] == [one["answer"] for one in told]
    assert [row["error"] for row in found] == [one["error"] for one in told]
    assert [row["meta"] for row in found] == [row["meta"] for row in rows]
    assert len(found[0]["answers"]) == 2
    assert qa.spark.answer_frame(frame.limit(0), str(folder), device="cpu").count() == 0


def test_what_can_have_no_answers_is_refused_before_anything_runs(spark, folder):
    frame = spark.createDataFrame([("q", "c", 1.0)], "question string, context string, score double")
    with pytest.raises(ConfigError, match="score"):
        qa.spark.answer_frame(frame, str(folder))
    assert "score" in qa.spark.answer_frame(frame, str(folder), columns=["question"]).columns
    with pytest.raises(DataError, match="no column context"):
        qa.spark.answer_frame(frame.drop("context"), str(folder))


def test_a_job_makes_the_files_of_one_process(spec, folder, tmp_path):
    data = write_rows(tmp_path / "dä ta")
    wanted = locally(spec, data, tmp_path / "local")
    command = ["predict", str(folder), str(data), str(tmp_path / "spark"), "--engine", "spark", "--workers", "2"]
    assert main([*command, "--device", "cpu"]) == 0
    assert parts(tmp_path / "spark") == wanted
    assert (tmp_path / "spark" / "_SUCCESS").exists()


def workers():
    """The Python processes that Spark has forked."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
            parent = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"pyspark.daemon" in words and b"pyspark.daemon" in Path(f"/proc/{parent}/cmdline").read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def test_a_killed_worker_costs_nothing(spec, tmp_path):
    assert_kills_cost_nothing(spec, tmp_path, workers, lambda job: qa.spark.run_shards(job, job.left))


def test_a_broken_reader_ends_a_job(tmp_path):
    data = write_rows(tmp_path / "data")
    job = plan_job(reader_spec(str(tmp_path / "none"), device="cpu"), data, tmp_path / "out", size=100)
    begin_job(job)
    with pytest.raises(JobError, match="ModelError"):
        finish_job(job, qa.spark.run_shards(job, job.left))
