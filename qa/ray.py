"""Ray: the answers to a dataset's questions, the shards of a job, and a deployment of the service.

qa.ray.answer_dataset(ray.data.read_parquet("s3://…"), "runs/mine/model", actors=8, gpus=1).write_parquet("s3://…")
serve run qa.ray:service model=runs/mine/model replicas=2
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

import pyarrow as pa
import ray
import ray.data

from qa.errors import ConfigError
from qa.inference.inputs import INPUTS_AT_ONCE
from qa.inference.options import CallOptions
from qa.jobs.answering import ReaderSpec, reader_spec
from qa.jobs.job import DONE, Done, Job, answer_shard
from qa.jobs.tables import answered_table

_OF_REPLICAS = {"replicas": "1", "cpus": "1", "gpus": "0"}


def answer_dataset(
    dataset: ray.data.Dataset,
    model: str,
    *,
    actors: int | tuple[int, int] = 1,
    cpus: float = 1,
    gpus: float = 0,
    columns: Sequence[str] | None = None,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    backend: str = "torch",
    **given: Unpack[CallOptions],
) -> ray.data.Dataset:
    """Return a dataset's rows with their answers, or an error where a row cannot be answered.

    Each actor loads the reader once. Scores may differ in their last digits with how Ray cuts the batches; a job's do
    not.

    Args:
        dataset: with columns of questions and contexts, under any of the names that data sets have for these.
        model: folder or hub id, to be found by all nodes.
        actors: how many, or the least and the most.
        cpus: of an actor, which uses as many threads.
        gpus: of an actor; a share lets several use one.
        columns: those that are carried over; None: all.
        device: where the reader runs; None: the actor's GPU if it has one.
        dtype: precision; see `Predictor.from_pretrained`.
        revision: branch, tag or commit of a hub model.
        backend: what runs the model; see `Predictor.from_pretrained`.
        given: see `CallOptions`.

    Raises:
        ConfigError, DataError: when read: a reader or columns that do not fit; see `answered_table`.

    """
    spec = reader_spec(model, device=device, dtype=dtype, revision=revision, backend=backend, **given)
    return dataset.map_batches(
        _Answering,
        fn_constructor_args=(spec, columns),
        batch_format="pyarrow",
        batch_size=INPUTS_AT_ONCE,
        compute=_pool(actors),
        num_cpus=cpus,
        num_gpus=gpus or None,
    )


class _Answering:
    """An actor's reader."""

    def __init__(self, spec: ReaderSpec, columns: Sequence[str] | None) -> None:
        self._answering, self._columns = spec.load(), columns

    def __call__(self, table: pa.Table) -> pa.Table:
        return answered_table(table, self._answering, self._columns)


def run_shards(job: Job, left: Sequence[int], *, workers: int | None = None) -> Iterator[Done]:
    """Yield what becomes of shards, as they end.

    Args:
        job: whose they are.
        left: their numbers.
        workers: actors; None: as many as the cluster has cores.

    """
    if not left:
        return
    if not ray.is_initialized():
        ray.init()
    actors = max(1, min(len(left), workers or int(ray.cluster_resources().get("CPU", 1))))
    shards = ray.data.from_items([{"shard": shard} for shard in left], override_num_blocks=len(left))
    done = shards.map_batches(
        _Shards, fn_constructor_args=(job,), batch_format="pyarrow", batch_size=1, compute=_pool(actors)
    )
    for row in done.iter_rows():
        yield Done(**row)


class _Shards:
    """An actor that answers whole shards; the reader is loaded with the first of them."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __call__(self, shards: pa.Table) -> pa.Table:
        done = [answer_shard(self._job, shard) for shard in shards["shard"].to_pylist()]
        return pa.Table.from_pylist([one._asdict() for one in done], schema=DONE)


def service(arguments: dict[str, str]) -> Any:  # noqa: ANN401  # serve.Application; ray[serve] may not be there
    """Return the HTTP service as an application of Ray Serve, which starts its replicas and sends them requests.

    Args:
        arguments: settings of the service by name, such as `model` (else QA_MODEL and so on, where this is called),
            and of each of its `replicas`: `cpus`, which are its threads, and `gpus`.

    Raises:
        ConfigError: no number, or see `settings_from`.

    """
    from ray import serve  # noqa: PLC0415  # an extra of ray's own

    from qa.serving.factory import app_from  # noqa: PLC0415  # an extra, which batches do without
    from qa.serving.settings import settings_from  # noqa: PLC0415

    given = dict(arguments)
    replicas, cpus, gpus = (_number(name, given.pop(name, default)) for name, default in _OF_REPLICAS.items())
    settings = settings_from(os.environ, **given)

    def app() -> Any:  # noqa: ANN401  # what a replica makes for itself
        return app_from(settings)

    options = {"num_cpus": cpus, "num_gpus": gpus}
    return serve.deployment(num_replicas=int(replicas), ray_actor_options=options)(serve.ingress(app)()).bind()


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{name} is {text!r}; wanted a number") from error


def _pool(actors: int | tuple[int, int]) -> ray.data.ActorPoolStrategy:
    if isinstance(actors, int):
        return ray.data.ActorPoolStrategy(size=actors)
    return ray.data.ActorPoolStrategy(min_size=actors[0], max_size=actors[1])
