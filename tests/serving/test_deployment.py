"""Image, compose file and manifest: their schemas, what they name, and the image's steps as another user."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import httpx
import jsonschema
import pytest
import yaml

from qa.serving.settings import settings_from
from tests.support import tiny
from tests.support.attempts import free_port
from tests.support.service import ONE

ROOT = Path(__file__).parents[2]
SERVING = ROOT / "qa" / "serving"
STRANGER = "65534"
"""A user id without rights, home or name."""
READS = "dac_read_search"
"""It may read what the image would hold, wherever the interpreter is here; it may write what any user may."""
AS_A_STRANGER = (
    *("setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "--no-new-privs"),
    *("--inh-caps", f"+{READS}", "--ambient-caps", f"+{READS}"),
)


def instructions(stage=None):
    """The instructions of the Dockerfile, of its last stage or of a named one, as (name, rest)."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", (SERVING / "Dockerfile").read_text(), flags=re.MULTILINE))
    stages = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    chosen = next(one for one in stages if f" AS {stage}" in one) if stage else stages[-1]
    return [tuple(line.split(maxsplit=1)) for line in chosen.splitlines() if line.strip()]


def environment():
    (said,) = [rest for name, rest in instructions() if name == "ENV"]
    return dict(word.split("=", 1) for word in shlex.split(said))


def manifests():
    return list(yaml.safe_load_all((SERVING / "kubernetes.yaml").read_text()))


def container():
    (found,) = manifests()[0]["spec"]["template"]["spec"]["containers"]
    return found


# --- schemas ---


def test_the_compose_file_is_one():
    pytest.importorskip("check_jsonschema", reason="knows the schema of compose files")
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    service = yaml.safe_load((SERVING / "compose.yaml").read_text())
    jsonschema.Draft7Validator(schema).validate(service)
    wrong = service | {"services": {"qa": {"image": 5}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(wrong)


@pytest.mark.parametrize("at", [0, 1])
def test_the_manifest_is_one_by_the_cluster_s_own_schema(at):
    validate = pytest.importorskip("kubernetes_validate", reason="knows the schemas of Kubernetes")
    one = manifests()[at]
    validate.validate(one, "1.31", strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate(one | {"specc": {}}, "1.31", strict=True)


# --- what they say to each other ---


def test_nobody_runs_as_root():
    user = int(dict(instructions())["USER"].split(":")[0])
    assert user > 0
    pod = manifests()[0]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == user
    assert container()["securityContext"]["readOnlyRootFilesystem"]


def test_every_setting_that_is_named_is_one(caplog):
    for given in (environment(), {entry["name"]: entry["value"] for entry in container()["env"]}):
        settings = settings_from(given)
        assert settings.model == "/model"
    assert not caplog.records, "a variable that no setting has"
    assert environment()["QA_HOST"] == "0.0.0.0"  # a container's, seen through its port alone


def test_ports_and_probes_agree(client):
    port = int(environment()["QA_PORT"])
    assert container()["ports"][0]["containerPort"] == port == int(dict(instructions())["EXPOSE"])
    assert yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]["qa"]["ports"][0].endswith(f":{port}")
    probes = [container()[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert [client.get(path).status_code for path in probes] == [200] * 3
    assert probes[2] == "/health" != probes[1], "a service that is busy must not be killed"
    assert manifests()[0]["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_limits_of_processor_and_memory_are_given():
    assert set(container()["resources"]["limits"]) == {"cpu", "memory"}


# --- the steps, without a daemon ---


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """What the build stage's COPY lines bring, installed from a clean folder; the model beside it."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    source.mkdir()
    for name, rest in instructions("build"):
        if name == "COPY":
            *names, target = rest.split()
            for one in names:
                place = source / target if target != "./" else source / one
                copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copyfile
                copy(ROOT / one, place)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), "."], cwd=source, check=True, capture_output=True)
    tiny.save_reader(folder / "model")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="only root can become another user")
def test_the_image_s_steps_serve_as_another_user_from_a_clean_folder(image, tmp_path):
    """With the image's own environment and command; it can write nothing but /tmp."""
    port = free_port()
    told = {name: value for name, value in environment().items() if name != "PATH"}
    told |= {"QA_MODEL": str(image / "model"), "QA_PORT": str(port), "QA_HOST": "127.0.0.1", "QA_BACKEND": "torch"}
    command = json.loads(dict(instructions())["CMD"])
    assert command == ["qa", "serve"]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*AS_A_STRANGER, sys.executable, "-m", *command],
            cwd="/",
            env=told | {"PYTHONPATH": str(image / "site"), "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=output,
        )
    try:
        ends = time.monotonic() + 120
        while "listening on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < ends, log.read_text()
            time.sleep(0.05)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            assert client.get("/ready").json() == {"status": "ready"}
            assert client.post("/answer", json=ONE).status_code == 200
            assert client.get("/").status_code == 200, "the page is part of the package"
    finally:
        process.terminate()
        assert process.wait(60) in {0, -15}  # uvicorn passes the signal on when it has ended in good order
