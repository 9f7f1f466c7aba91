"""`qa sweep`: every run once, in a folder of its own; what broke is resumed; a table of what was found."""

import importlib.util
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest

import qa
from qa.cli.main import main
from tests.support import tiny
from tests.support.sweeps import calls, values, write_program, write_sweep

ROOT = Path(qa.__file__).parents[1]
PARAMETERS = {"training.learning-rate": values(1e-3, 1e-2), "seed": values(1, 2, 3)}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(capsys, *arguments, status=0):
    capsys.readouterr()
    found = None
    try:
        found = main(["sweep", *map(str, arguments)])
    except SystemExit as stopped:
        found = stopped.code
    assert found == status
    return capsys.readouterr()


def plain(text):
    """Without the blanks that make columns."""
    return re.sub(r" +", " ", text)


def ledger(folder):
    return json.loads((folder / "sweep.json").read_text())["runs"]


# --- results ---


def test_all_runs_are_made_and_shown_with_means_and_intervals(capsys, here):
    file = write_sweep(here, program=write_program(here), parameters=PARAMETERS, metric={"name": "eval/f1"})
    out = sweep(capsys, file).out
    folder = Path("runs/sweep")
    assert len(calls(folder)) == 6
    for name, (arguments,) in calls(folder).items():
        assert f"--output-dir={folder / name}" in arguments
        assert not [word for word in arguments if word.startswith("--resume")]
    assert "setting runs f1 minus the first minutes" in plain(out)
    half = 2.48  # Student's for three seeds, one apart
    assert f"learning-rate=0.01 3 62.00 [{62 - half:.2f}, {62 + half:.2f}] +10.00 [+10.00, +10.00]" in plain(out)
    assert f"learning-rate=0.001 3 52.00 [{52 - half:.2f}, {52 + half:.2f}] –" in plain(out)
    assert (folder / "table.md").read_text().count("\n| learning-rate") == 2
    (best, first) = json.loads((folder / "table.json").read_text())["settings"]
    assert (best["name"], best["seeds"], best["single"]) == ("learning-rate=0.01", [1, 2, 3], [61.0, 62.0, 63.0])
    assert first["difference"] is None
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_json_alone_is_printed_where_asked(capsys, here):
    file = write_sweep(here, program=write_program(here), parameters=PARAMETERS)
    found = json.loads(sweep(capsys, file, "--json", "--out", here / "elsewhere").out)
    assert [row["score"]["mean"] for row in found["settings"]] == [62.0, 52.0]
    assert found["failed"] == []
    assert len(calls(here / "elsewhere")) == 6


def test_metric_of_the_file_decides_and_least_can_be_best(capsys, here):
    metric = {"name": "best/exact_match", "goal": "minimize"}
    file = write_sweep(here, program=write_program(here), parameters=PARAMETERS, metric=metric)
    found = json.loads(sweep(capsys, file, "--json").out)
    assert found["metric"] == "exact_match"
    assert [row["score"]["mean"] for row in found["settings"]] == [26.0, 31.0]
    file = write_sweep(here, program=here / "train_qa.py", parameters=PARAMETERS, metric={"name": "HasAns_f1"})
    assert "has no score 'HasAns_f1'; wanted one of f1, exact_match" in sweep(capsys, file, status=1).err


def test_variants_presets_and_switches_reach_the_program(capsys, here):
    variants = {"plain": {"training.compile": False}, "averaged": {"recipe.averaging": "ema"}}
    command = ["${env}", "${interpreter}", "${program}", "minilm-squad", "${args}"]
    file = write_sweep(here, program=write_program(here), parameters={}, variants=variants, command=command)
    assert "variant=averaged" in sweep(capsys, file).out
    found = sorted(arguments for (arguments,) in calls(here / "runs" / "sweep").values())
    assert [arguments[:2] for arguments in found] == [
        ["minilm-squad", "--recipe.averaging=ema"],
        ["minilm-squad", "--training.no-compile"],
    ]


def test_seeds_of_a_setting_are_one_group_at_wandb(capsys, here, monkeypatch):
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    program = write_program(here, '(folder / "group").write_text(os.environ["WANDB_RUN_GROUP"])')
    file = write_sweep(here, program=program, parameters=PARAMETERS)
    sweep(capsys, file)
    groups = {path.parent.name[:20]: path.read_text() for path in (here / "runs" / "sweep").glob("*/group")}
    assert set(groups.values()) == {"sweep: learning-rate=0.001", "sweep: learning-rate=0.01"}
    monkeypatch.setenv("WANDB_RUN_GROUP", "own")
    sweep(capsys, file, "--out", "other")
    assert {path.read_text() for path in (here / "other").glob("*/group")} == {"own"}


# --- going on ---


def test_finished_runs_are_skipped_and_what_the_file_gains_is_done(capsys, here):
    program = write_program(here)
    sweep(capsys, write_sweep(here, program=program, parameters=PARAMETERS))
    more = PARAMETERS | {"seed": values(1, 2, 3, 4)}
    out = sweep(capsys, write_sweep(here, program=program, parameters=more)).out
    assert "6 of 8 runs are finished" in out
    folder = here / "runs" / "sweep"
    assert [len(times) for times in calls(folder).values()] == [1] * 8
    assert "learning-rate=0.01 4 62.50" in plain(out)


def test_run_whose_folder_is_gone_is_made_again(capsys, here):
    file = write_sweep(here, program=write_program(here), parameters={"seed": values(1, 2)})
    sweep(capsys, file)
    (here / "runs" / "sweep" / next(iter(calls(here / "runs" / "sweep"))) / "metrics.json").unlink()
    assert "1 of 2 runs are finished" in sweep(capsys, file).out


def test_broken_run_does_not_stop_the_others_is_named_and_is_resumed(capsys, here):
    breaks = """
    if seed == 2 and not any(word.startswith("--resume") for word in sys.argv):
        print("out of luck", flush=True)
        sys.exit(3)
    """
    file = write_sweep(here, program=write_program(here, breaks), parameters={"seed": values(1, 2, 3)})
    found = sweep(capsys, file, status=1)
    assert "failed (exit status 3)" in found.out
    assert "    out of luck" in found.out
    assert "as given 2 52.00" in plain(found.out)
    assert found.err.startswith("error: 1 of 3 runs failed; the same command tries again: seed=2-")
    folder = here / "runs" / "sweep"
    assert [entry["status"] for entry in ledger(folder).values()] == ["finished", "failed", "finished"]
    assert "as given 3 52.00" in plain(sweep(capsys, file).out)
    by_seed = {entry["seed"]: calls(folder)[name] for name, entry in ledger(folder).items()}
    assert [len(by_seed[seed]) for seed in (1, 2, 3)] == [1, 2, 1]
    assert by_seed[2][1] == [*by_seed[2][0], "--resume=auto"]
    assert ledger(folder)[next(name for name in ledger(folder) if "seed=2" in name)]["attempts"] == 2


def test_program_that_leaves_no_scores_has_failed(capsys, here):
    file = write_sweep(here, program=write_program(here, "sys.exit(0)"), parameters={"seed": values(1)})
    assert "failed (it left no metrics.json)" in sweep(capsys, file, status=1).out


@pytest.mark.processes
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_sweep_lets_its_run_save_and_goes_on_there(capsys, here, number, status):
    stops = f"""
    import signal
    if seed == 2 and not any(word.startswith("--resume") for word in sys.argv):
        def save(*_):
            (folder / "saved").write_text("")
            sys.exit(143)
        signal.signal(signal.SIGTERM, save)
        os.kill({os.getpid()}, {int(number)})
        signal.pause()
    """
    file = write_sweep(here, program=write_program(here, stops), parameters={"seed": values(1, 2, 3)})
    before = signal.getsignal(number)  # ignored, where the tests were started in the background
    out = sweep(capsys, file, status=status).out
    folder = here / "runs" / "sweep"
    assert out.endswith("stopped; the same command goes on\n")
    assert [entry["status"] for entry in ledger(folder).values()] == ["finished", "stopped"]
    assert len(list(folder.glob("*/saved"))) == 1
    assert "as given 3 52.00" in plain(sweep(capsys, file).out)
    assert sorted(len(times) for times in calls(folder).values()) == [1, 1, 2]
    assert signal.getsignal(number) is before


@pytest.mark.processes
def test_what_a_launcher_started_is_waited_for(capsys, here):
    """The launcher ends with the signal; its child needs a moment more."""
    slow = f"""
    import signal
    def save(*_):
        time.sleep(0.5)
        (folder / "saved").write_text("")
        os._exit(143)
    signal.signal(signal.SIGTERM, save)
    os.kill({os.getpid()}, signal.SIGTERM)
    signal.pause()
    """
    launcher = here / "launch.py"
    launcher.write_text("import subprocess, sys\nsubprocess.run([sys.executable, *sys.argv[1:]])\n")
    command = ["${interpreter}", str(launcher), "${program}", "${args}"]
    file = write_sweep(here, program=write_program(here, slow), parameters={"seed": values(1)}, command=command)
    sweep(capsys, file, status=143)
    assert list((here / "runs" / "sweep").glob("*/saved"))


# --- commands ---


def test_command_template_replaces_the_files_and_knows_the_macros(capsys, here, monkeypatch):
    monkeypatch.setenv("QUEUE", "night")
    write_program(here)
    wrapper = here / "srun.py"
    wrapper.write_text(
        "import subprocess, sys, pathlib\n"
        "pathlib.Path('seen').write_text(' '.join(sys.argv[1:3]))\n"
        "sys.exit(subprocess.run([sys.executable, *sys.argv[3:]]).returncode)\n"
    )
    template = f"{sys.executable} {wrapper} --queue=${{envvar:QUEUE}} --job=${{name}} train_qa.py ${{args}}"
    file = write_sweep(here, parameters={"seed": values(1)})
    sweep(capsys, file, "--command", template)
    (name,) = calls(here / "runs" / "sweep")
    assert (here / "seen").read_text() == f"--queue=night --job={name}"
    shorter = f"{sys.executable} train_qa.py"  # flags come last where the template does not say
    sweep(capsys, file, "--command", shorter, "--out", here / "other")
    assert len(calls(here / "other")) == 1


def test_dry_run_prints_the_commands_and_runs_none(capsys, here):
    file = write_sweep(here, program=write_program(here), parameters=PARAMETERS)
    lines = sweep(capsys, file, "--dry-run").out.splitlines()
    assert len(lines) == 6
    assert shlex.split(lines[0])[:4] == [
        sys.executable,
        str(here / "train_qa.py"),
        "--training.learning-rate=0.001",
        "--seed=1",
    ]
    assert not (here / "runs").exists()


@pytest.mark.processes
def test_jobs_run_at_once(capsys, here):
    """Each of two waits for the other."""
    meets = """
    (folder.parent / f"here-{seed}").write_text("")
    ends = time.monotonic() + 60
    while len(list(folder.parent.glob("here-*"))) < 2:
        if time.monotonic() > ends:
            sys.exit(1)
        time.sleep(0.01)
    """
    file = write_sweep(here, program=write_program(here, meets), parameters={"seed": values(1, 2)})
    sweep(capsys, file, "--jobs", "2")
    assert {entry["status"] for entry in ledger(here / "runs" / "sweep").values()} == {"finished"}


@pytest.mark.parametrize(
    ("keys", "arguments", "message"),
    [
        ({"program": "none.py"}, [], "found no file 'none.py'"),
        ({"command": ["${interpreter}", "${arg}"]}, [], "found ${arg}; wanted one of"),
        ({"command": ["python", "${envvar:NOT_THERE}", "${args}"]}, [], "the environment has no NOT_THERE"),
        ({}, ["--command", "/none/python train_qa.py"], "cannot start '/none/python': No such file"),
        ({"parameters": {"training.epochs": values(1, -1)}}, [], "training.epochs is -1.0"),
        (
            {"parameters": {"training.schedule": values("zigzag")}},
            [],
            "cannot be started with --training.schedule=zigzag",
        ),
    ],
)
def test_what_cannot_be_started_is_one_line_before_any_run(capsys, here, keys, arguments, message):
    write_program(here)
    file = write_sweep(here, **({"parameters": PARAMETERS} | keys))
    assert message in sweep(capsys, file, *arguments, status=1).err.replace("\n", " ")
    assert not calls(here / "runs" / "sweep")


# --- search ---


def test_random_settings_depend_on_the_search_seed(capsys, here):
    write_program(here)
    parameters = {"training.learning-rate": {"min": 1e-4, "max": 1e-2}, "seed": values(1, 2)}
    file = write_sweep(here, method="random", run_cap=4, parameters=parameters)
    for seed in (0, 0, 1):
        sweep(capsys, file, "--search-seed", seed)
    assert [len(times) for times in calls(here / "runs" / "sweep").values()] == [1] * 8  # two settings of each seed


def test_search_goes_on_where_it_was_as_if_never_stopped(capsys, here, monkeypatch):
    pytest.importorskip("optuna", reason="searches: pip install 'extractive-qa[optuna]'")
    parameters = {
        "training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
        "recipe.averaging": values("none", "ema"),
        "seed": values(1, 2),
    }
    stops = f"""
    import signal
    if len(list(folder.parent.glob("*/metrics.json"))) == 5 and not (folder.parent.parent / "again").exists():
        os.kill({os.getpid()}, signal.SIGTERM)
        signal.pause()
    """
    whole, parts = here / "whole", here / "parts"
    for folder, before in ((whole, ""), (parts, stops)):
        folder.mkdir()
        monkeypatch.chdir(folder)
        write_program(folder, before)
        file = write_sweep(folder, method="bayes", run_cap=13, parameters=parameters)
        sweep(capsys, file, "--out", "runs", status=143 if before else 0)
    (parts / "again").write_text("")
    out = sweep(capsys, file, "--out", "runs").out
    assert list(ledger(whole / "runs")) == list(ledger(parts / "runs"))
    assert len(ledger(parts / "runs")) == 12  # six settings with two seeds
    assert sorted(len(times) for times in calls(parts / "runs").values()) == [1] * 11 + [2]
    assert "averaging=ema" in out


def test_search_without_its_package_is_one_line(capsys, here, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))
    file = write_sweep(here, method="bayes", run_cap=3, parameters=PARAMETERS)
    error = sweep(capsys, file, status=1).err
    assert error == "error: not installed: optuna; install it with: pip install 'extractive-qa[optuna]'\n"


# --- the real program ---


@pytest.mark.slow
@pytest.mark.processes
def test_real_runs_interrupted_and_resumed_equal_undisturbed_ones(capsys, here):
    """Two runs of two steps each; the second is stopped by its time limit, and goes on from its checkpoint."""
    reader = tiny.save_reader(here / "reader")
    fixed = {
        "model": str(reader),
        "features.max-length": 96,
        "features.doc-stride": 24,
        "features.max-question-length": 24,
        "features.cache-dir": str(here / "cache"),
        "max-train-examples": 12,
        "max-validation-examples": 8,
        "training.max-steps": 2,
        "training.save-every": 1,
        "training.evaluate-every": 0,
        "training.learning-rate": 0.01,
        "tracking.report-to": "none",
    }
    parameters = {name: {"value": value} for name, value in fixed.items()} | {"seed": values(1, 2)}
    program = ROOT / "train_qa.py"
    whole = write_sweep(here, name="whole.yaml", program=program, parameters=parameters)
    found = json.loads(sweep(capsys, whole, "--json").out)
    assert len(found["settings"]) == 1
    assert found["settings"][0]["seeds"] == [1, 2]
    # The same sweep again, whose second run stops after its first step, as at a signal.
    stopper = here / "stopping.py"
    stopper.write_text(STOPPING.format(program=str(program), root=str(ROOT)))
    command = ["${interpreter}", str(stopper), "${program}", "${args}"]
    parts = write_sweep(here, name="parts.yaml", program=program, parameters=parameters, command=command)
    assert "1 of 2 runs failed" in sweep(capsys, parts, "--json", status=1).err
    assert sorted(entry["status"] for entry in ledger(Path("runs/parts")).values()) == ["failed", "finished"]
    again = json.loads(sweep(capsys, parts, "--json").out)
    assert again["settings"][0]["single"] == found["settings"][0]["single"]
    for one, other in zip(
        sorted(Path("runs/whole").glob("seed*/")), sorted(Path("runs/parts").glob("seed*/")), strict=True
    ):
        weights = [(folder / "model" / "model.safetensors").read_bytes() for folder in (one, other)]
        assert weights[0] == weights[1]


STOPPING = """
import os, signal, sys
sys.path.insert(0, {root!r})
sys.argv = [{program!r}, *sys.argv[2:]]
import train_qa
from qa.training import TrainingLoop
steps = TrainingLoop.steps
def stopped(self):
    for step in steps(self):
        if "--seed=2" in sys.argv and not any(word.startswith("--resume") for word in sys.argv):
            os.kill(os.getpid(), signal.SIGTERM)
        yield step
TrainingLoop.steps = stopped
sys.exit(train_qa.main())
"""
