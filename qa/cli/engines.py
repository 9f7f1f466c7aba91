"""`qa predict --engine`: rows of files, shard by shard, on an engine or on the processes that were launched."""

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

from qa.cli.answer_flags import Predict
from qa.cli.display import print_json, print_line
from qa.cli.flags import DataFlags
from qa.errors import MissingPackageError, UsageError
from qa.inference.options import CallOptions
from qa.jobs.answering import reader_spec
from qa.jobs.job import Done, Job, answer_shard, begin_job, finish_job, plan_job
from qa.jobs.pieces import Tally
from qa.runtime.launched import Processes

_PACKAGES = {"ray": "ray", "spark": "pyspark"}
"""What has to be installed for an engine; the extra has the engine's name."""


def predict(arguments: Predict, processes: Processes) -> None:
    """Write the answered rows of files to a folder, a file for each shard. Collective."""
    require_fitting(arguments, processes)
    began, model, place, kept = time.perf_counter(), arguments.model, arguments.output, arguments.engine.keep
    spec = reader_spec(
        model.model,
        device=model.device,
        dtype=model.dtype,
        revision=model.revision,
        backend=model.backend,
        **cast("CallOptions", asdict(arguments.reading) | {"top_k": arguments.top_k or 1}),
    )
    job = plan_job(spec, Path(arguments.data.data), place.out, kept=kept)
    processes.from_main(lambda: begin_job(job, overwrite=place.overwrite, resume=place.resume))
    left = processes.from_main(lambda: job.left)
    tallies = processes.gathered(finish_job(job, shards_done(arguments, job, left, processes)))
    if processes.is_main:
        skipped, seconds = len(job.shards) - len(left), time.perf_counter() - began
        tell_summary(arguments, job, Tally.sum(tallies), skipped=skipped, seconds=seconds)


def require_fitting(arguments: Predict, processes: Processes) -> None:
    """Check that the flags are ones that an engine has, and that its package is there.

    Raises:
        UsageError: other flags.
        MissingPackageError: it is not installed.

    """
    engine, data = arguments.engine.engine, arguments.data
    wanted = {**vars(DataFlags(data=data.data)), "on_bad_example": "error"}
    said = {**vars(data), "on_bad_example": arguments.on_bad_example}
    other = [name for name, value in said.items() if value != wanted[name]]
    if other:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        raise UsageError(f"found {named} and --engine, which answers all rows of files; wanted one of them")
    if engine == "local" and arguments.engine.workers is not None:
        raise UsageError(
            "found --workers and --engine local; wanted: accelerate launch --num_processes N -m qa predict"
        )
    if engine != "local" and processes.count > 1:
        raise UsageError(f"found {processes.count} processes and --engine {engine}, which starts its own; wanted one")
    package = _PACKAGES.get(str(engine))
    if package is not None and importlib.util.find_spec(package) is None:
        raise MissingPackageError(f"not installed: {package}; install it with: pip install 'extractive-qa[{engine}]'")


def shards_done(arguments: Predict, job: Job, left: list[int], processes: Processes) -> Iterator[Done]:
    """Yield what becomes of the shards that are left: of this process's, or of all on an engine of its own."""
    if arguments.engine.engine == "local":
        here = replace(job, reader=replace(job.reader, device=job.reader.device or processes.device))
        return (answer_shard(here, shard) for shard in left[processes.index :: processes.count])
    if arguments.engine.engine == "ray":
        from qa.ray import run_shards  # noqa: PLC0415  # an extra
    else:
        from qa.spark import run_shards  # noqa: PLC0415  # an extra
    return run_shards(job, left, workers=arguments.engine.workers)


def tell_summary(arguments: Predict, job: Job, tally: Tally, *, skipped: int, seconds: float) -> None:
    """Print how many rows were answered, in what time."""
    if arguments.json:
        counts = {"rows": tally.rows, "errors": tally.errors, "shards": len(job.shards), "skipped": skipped}
        print_json(counts | {"seconds": seconds, "out": str(job.out)})
        return
    there = f", {skipped} of {len(job.shards)} shards were there" if skipped else ""
    print_line(f"{tally.rows} rows in {seconds:.1f} s, {tally.errors} with an error{there}: {job.out}")
