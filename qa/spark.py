"""Spark: the answers to a data frame's questions, and the shards of a job.

qa.spark.answer_frame(spark.read.parquet("hdfs://…"), "runs/mine/model").write.parquet("hdfs://…")
"""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Unpack

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from qa.data.columns import text_columns
from qa.inference.options import CallOptions
from qa.jobs.answering import ReaderSpec, reader_spec
from qa.jobs.job import DONE, Done, Job, answer_shard
from qa.jobs.tables import answer_schema, answered_table, require_free

_ATTEMPTS = 4
"""At a task, as on a cluster: by itself a Spark on one machine gives up with the first worker that dies."""


def answer_frame(
    frame: DataFrame,
    model: str,
    *,
    columns: Sequence[str] | None = None,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    backend: str = "torch",
    **given: Unpack[CallOptions],
) -> DataFrame:
    """Return a frame's rows with their answers, or an error where a row cannot be answered.

    Each worker process loads the reader once, and keeps it for its later tasks. It uses `spark.task.cpus` threads.
    Scores may differ in their last digits with how Spark cuts the batches; a job's do not.

    Args:
        frame: with columns of questions and contexts, under any of the names that data sets have for these.
        model: folder or hub id, to be found by all executors.
        columns: those that are carried over; None: all.
        device: where the reader runs; None: the accelerator if there is one.
        dtype: precision; see `Predictor.from_pretrained`.
        revision: branch, tag or commit of a hub model.
        backend: what runs the model; see `Predictor.from_pretrained`.
        given: see `CallOptions`.

    Raises:
        DataError: no column of questions or contexts.
        ConfigError: a column has the name of one that answers are written to.

    """
    spec = reader_spec(model, device=device, dtype=dtype, revision=revision, backend=backend, **given)
    kept = list(frame.columns if columns is None else columns)
    text_columns(frame.columns)
    require_free(kept, spec.top_k)
    answers = from_arrow_schema(answer_schema(spec.top_k))
    return frame.mapInArrow(
        partial(_answered, spec, kept), StructType([*(frame.schema[name] for name in kept), *answers])
    )


def _answered(spec: ReaderSpec, kept: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    answering = spec.load()
    for batch in batches:
        yield from answered_table(pa.Table.from_batches([batch]), answering, kept).to_batches()


def run_shards(job: Job, left: Sequence[int], *, workers: int | None = None) -> Iterator[Done]:
    """Yield what becomes of shards, when all have ended.

    Args:
        job: whose they are.
        left: their numbers.
        workers: threads of a Spark on this machine; None: the session that is there, or as Spark is configured.

    """
    if not left:
        return
    spark = SparkSession.getActiveSession() or _session(workers)
    shards = spark.range(0, len(left), 1, len(left))
    for row in shards.mapInArrow(partial(_shards, job, left), from_arrow_schema(DONE)).collect():
        yield Done(**row.asDict())


def _session(workers: int | None) -> SparkSession:
    builder = SparkSession.builder.appName("qa predict")
    if workers is not None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.master(f"local[{workers},{_ATTEMPTS}]").config("spark.ui.enabled", "false")
    return builder.getOrCreate()


def _shards(job: Job, left: Sequence[int], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for at in batch["id"].to_pylist():
            done = answer_shard(job, left[at])
            yield pa.RecordBatch.from_pylist([done._asdict()], schema=DONE)
