"""Jobs for clusters: each is one by its cluster's own schema, and what it runs is a run of this project."""

import shlex
from pathlib import Path

import pytest
import yaml

from qa.presets import parse_config

FOLDER = Path(__file__).parents[2] / "accelerate_configs"


def manifests():
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


def task():
    return yaml.safe_load((FOLDER / "skypilot.yaml").read_text())


# --- Kubernetes ---


@pytest.mark.parametrize(("at", "model"), [(0, "TrainerV1alpha1TrainingRuntime"), (1, "TrainerV1alpha1TrainJob")])
def test_manifests_are_what_the_trainer_takes(at, model):
    models = pytest.importorskip(
        "kubeflow_trainer_api.models", reason="knows the trainer's objects: pip install kubeflow-trainer-api"
    )
    one, kind = manifests()[at], getattr(models, model)
    assert kind.from_dict(one).to_dict() == one  # a key that it does not know would be lost
    wrong = one | {"spec": one["spec"] | {"replicas": 3}}
    assert kind.from_dict(wrong).to_dict() != wrong


def test_the_pods_are_such_by_the_cluster_s_own_schema():
    validate = pytest.importorskip("kubernetes_validate", reason="knows the schemas of Kubernetes")
    (replicated,) = manifests()[0]["spec"]["template"]["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "qa"}, "spec": replicated["template"]["spec"]}
    validate.validate(job, "1.31", strict=True)
    wrong = job | {"spec": job["spec"] | {"restarts": 3}}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, "1.31", strict=True)


def test_job_and_runtime_belong_together():
    runtime, job = manifests()
    assert job["spec"]["runtimeRef"] == {"kind": runtime["kind"], "name": runtime["metadata"]["name"]}
    assert job["spec"]["trainer"]["numNodes"] == runtime["spec"]["mlPolicy"]["numNodes"]
    gpus = job["spec"]["trainer"]["resourcesPerNode"]["limits"]["nvidia.com/gpu"]
    assert int(gpus) == job["spec"]["trainer"]["numProcPerNode"]


def test_pods_run_what_the_project_has_and_leave_it_on_the_claim():
    runtime, job = manifests()
    trainer = job["spec"]["trainer"]
    assert trainer["command"] == ["torchrun", "--module", "train_qa"]
    config = parse_config(trainer["args"])
    assert config.resume == "auto"
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = replicated["template"]["spec"]["template"]["spec"]["containers"]
    assert str(config.output_dir.parent) in {mount["mountPath"] for mount in container["volumeMounts"]}


# --- SkyPilot ---


def test_the_task_is_what_skypilot_takes():
    sky = pytest.importorskip(
        "sky", reason="SkyPilot wants another click than the gates: in an environment of its own, pip install skypilot"
    )
    made = sky.Task.from_yaml_config(task())
    assert made.num_nodes == 2
    with pytest.raises(ValueError, match="nodes"):
        sky.Task.from_yaml_config(task() | {"nodes": 2})


def test_the_task_runs_what_the_project_has_and_leaves_it_in_the_bucket():
    words = shlex.split(task()["run"].replace("\\\n", " "))
    at = words.index("--module")
    assert words[at + 1] == "train_qa"
    config = parse_config(words[at + 2 :])
    assert config.resume == "auto"
    assert config.training.save_minutes
    assert str(config.output_dir.parent) in task()["file_mounts"]
