"""MLflow, through accelerate: one run that a resumed run goes on with, and the model where that is asked for."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker

from qa.config import RunConfig
from qa.tracking.reporter import Outcome
from qa.training.progress import Progress

_FOLDER_TAG = "qa.folder"
"""Tag with a hash of the run folder's path, by which a resumed run is found."""
_MODEL = "model"


class MlflowTracker:
    """A run at MLflow.

    MLflow ties the run that is active to a thread, and this one reports from another: calls name the run, and none is
    active in the thread that started it.
    """

    name = "mlflow"
    upload_command: str | None = None

    def __init__(self, tracker: GeneralTracker) -> None:
        """Take what accelerate started."""
        import mlflow  # noqa: PLC0415  # an extra

        self._tracker, self._client = tracker, mlflow.MlflowClient()
        self._id: str = tracker.tracker.info.run_id
        self.address: str | None = f"{mlflow.get_tracking_uri()}, run {self._id}"
        mlflow.end_run()
        self._client.update_run(self._id, status="RUNNING")

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """See `Tracker.log`."""
        self._tracker.log(dict(values), step, run_id=self._id)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """See `Tracker.table`."""
        table = {column: [row[at] for row in rows] for at, column in enumerate(columns)}
        self._client.log_dict(self._id, table, f"{name}/step-{step:08d}.json")

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.summary`."""
        self._tracker.log(dict(values), None, run_id=self._id)

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """See `Tracker.model`."""
        self._client.log_artifacts(self._id, str(folder), _MODEL)
        self._client.log_dict(self._id, {**facts, "data": dict(data)}, f"{_MODEL}.json")

    def finish(self, outcome: Outcome) -> None:
        """See `Tracker.finish`."""
        ends = "KILLED" if outcome.preempted else "FAILED" if outcome.status else "FINISHED"
        self._client.set_terminated(self._id, ends)


def start_mlflow(
    start: Callable[[str, dict[str, Any]], GeneralTracker | None], config: RunConfig, progress: Progress
) -> MlflowTracker | None:
    """Start MLflow where MLFLOW_TRACKING_URI says; a resumed run goes on with the run of its folder."""
    folder = hashlib.sha256(str(config.output_dir.resolve()).encode()).hexdigest()[:16]
    options: dict[str, Any] = {"run_name": config.run_name, "tags": {_FOLDER_TAG: folder}}
    if progress.step:
        options["run_id"] = _run_of(folder)
    tracker = start("mlflow", options)
    return MlflowTracker(tracker) if tracker is not None else None


def _run_of(folder: str) -> str | None:
    """Return the newest run of a folder; None where there is none."""
    import mlflow  # noqa: PLC0415  # an extra

    try:
        runs = mlflow.search_runs(
            filter_string=f"tags.`{_FOLDER_TAG}` = '{folder}'",
            search_all_experiments=True,
            max_results=1,
            output_format="list",
        )
    except Exception:  # noqa: BLE001  # whatever the service raises: then starting says so
        return None
    return str(runs[0].info.run_id) if runs else None
