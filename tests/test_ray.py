"""Ray, really run: datasets, jobs whose files are those of one process, and the service on two replicas."""

import contextlib
import json
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest

ray = pytest.importorskip("ray", reason="needs Ray; pip install 'extractive-qa[ray]'")

import qa
from qa.cli.main import main
from qa.errors import JobError
from qa.jobs.answering import reader_spec
from qa.jobs.job import begin_job, finish_job, plan_job
from qa.jobs.tables import answer_schema
from tests.support.attempts import free_port
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
def cluster():
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_dataset_is_answered_row_by_row(folder):
    rows = [row | {"id": at, "meta": {"tags": ["a", None]}, "note": None} for at, row in enumerate(pairs(6))]
    rows.append({**rows[0], "context": None, "id": 6, "note": "text"})
    dataset = ray.data.from_arrow([pa.Table.from_pylist(rows[:3]), pa.Table.from_pylist(rows[3:])])
    found = qa.ray.answer_dataset(dataset, str(folder), device="cpu", actors=2).take_all()
    found.sort(key=lambda row: row["id"])
    told = reader_spec(str(folder), device="cpu").load().told(rows)
    assert [row["answer"] for row in found] == [one["answer"] for one in told]
    assert [row["error"] for row in found] == [one["error"] for one in told]
    assert [row["meta"] for row in found] == [row["meta"] for row in rows]


def test_a_dataset_without_answers_has_the_same_types(folder):
    """Where all are null, too, so that files of several shards are one table."""
    bad = ray.data.from_arrow(pa.table({"question": ["q"], "context": pa.array([None], pa.string())}))
    found = pa.concat_tables(ray.get(qa.ray.answer_dataset(bad, str(folder), device="cpu").to_arrow_refs()))
    assert found.select(answer_schema().names).schema.remove_metadata() == answer_schema()


def test_a_broken_reader_ends_a_dataset(tmp_path):
    dataset = ray.data.from_arrow(pa.Table.from_pylist(pairs(2)))
    with pytest.raises(Exception, match="none"):  # Ray's own, with ours as its cause
        qa.ray.answer_dataset(dataset, str(tmp_path / "none"), device="cpu").materialize()


def test_a_job_makes_the_files_of_one_process(spec, folder, tmp_path):
    data = write_rows(tmp_path / "dä ta")
    wanted = locally(spec, data, tmp_path / "local")
    command = ["predict", str(folder), str(data), str(tmp_path / "ray"), "--engine", "ray", "--workers", "2"]
    assert main([*command, "--device", "cpu"]) == 0
    assert parts(tmp_path / "ray") == wanted
    assert (tmp_path / "ray" / "_SUCCESS").exists()


def workers():
    """The processes of Ray that answer: they say so in the place of their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if path.read_bytes().startswith(b"ray::") and b"MapWorker" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def test_a_killed_worker_costs_nothing(spec, tmp_path):
    assert_kills_cost_nothing(spec, tmp_path, workers, lambda job: qa.ray.run_shards(job, job.left, workers=1))


def test_a_broken_reader_ends_a_job(tmp_path):
    data = write_rows(tmp_path / "data")
    job = plan_job(reader_spec(str(tmp_path / "none"), device="cpu"), data, tmp_path / "out", size=100)
    begin_job(job)
    with pytest.raises(JobError, match="ModelError"):
        finish_job(job, qa.ray.run_shards(job, job.left, workers=2))


def test_the_service_answers_on_two_replicas(folder):
    serve = pytest.importorskip("ray.serve", reason="needs Ray Serve; pip install 'extractive-qa[ray-serve]'")
    application = qa.ray.service({"model": str(folder), "device": "cpu", "replicas": "2", "cpus": "0.5"})
    port = free_port()
    serve.start(http_options={"port": port, "host": "127.0.0.1"})
    serve.run(application, name="qa", route_prefix="/")
    try:
        (deployment,) = serve.status().applications["qa"].deployments.values()
        assert deployment.replica_states == {"RUNNING": 2}
        body = json.dumps(pairs(1)[0]).encode()
        address = f"http://127.0.0.1:{port}/answer"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        (wanted,) = qa.Predictor.from_pretrained(folder, device="cpu")(pairs(1))
        for _ in range(6):
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.loads(answer.read())
            assert found["results"][0][0]["answer"] == wanted["answer"]
    finally:
        serve.shutdown()
