"""The command of a run: macros, its own arguments, and what cannot be started."""

import sys
from pathlib import Path

import pytest

from qa.errors import SweepError
from qa.experiments.commands import command_of
from qa.experiments.settings import Trial, trial_of

FLAGS = {"seed": 3, "training.compile": False}
ARGS = ["--seed=3", "--training.no-compile", "--output-dir=runs/one"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train_qa.py").touch()


def trial() -> Trial:
    return trial_of({}, FLAGS, [])


def words(*command, resumes=False):
    return command_of(command, "train_qa.py").of(trial(), Path("runs/one"), resumes=resumes)


def test_flags_stand_where_the_command_has_them_or_at_its_end():
    assert words("${interpreter}", "${program}", "${args}", "--last") == [
        sys.executable,
        "train_qa.py",
        *ARGS,
        "--last",
    ]
    assert words("accelerate", "launch", "train_qa.py") == ["accelerate", "launch", "train_qa.py", *ARGS]
    assert words("run", "${args_no_boolean_flags}") == ["run", *ARGS]


def test_a_run_that_was_begun_is_resumed():
    assert words("run", resumes=True) == ["run", *ARGS, "--resume=auto"]


def test_macros_stand_anywhere_in_a_word(monkeypatch):
    monkeypatch.setenv("SLURM_PARTITION", "gpu")
    name = trial().name
    found = words("${env}", "srun", "--job=x-${name}", "--partition=${envvar:SLURM_PARTITION}", "./${program}")
    assert found == ["srun", f"--job=x-{name}", "--partition=gpu", "./train_qa.py", *ARGS]


def test_what_stands_after_the_program_is_every_runs_own(monkeypatch):
    monkeypatch.setenv("MODEL", "minilm")
    command = command_of(
        ["${interpreter}", "${program}", "few-labels", "--model=${envvar:MODEL}", "${args}"], "train_qa.py"
    )
    assert command.own_arguments == ["few-labels", "--model=minilm"]
    config = command.config_of(trial(), Path("runs/one"))
    assert (config.model, config.seed, config.output_dir) == ("minilm", 3, Path("runs/one"))
    assert command_of(["sbatch", "job.sh"], "train_qa.py").own_arguments == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["${python}", "${program}"], r"^command: found \$\{python\}; wanted one of "),
        (["run", "${envvar:NO-NAME}"], "command: found"),
    ],
)
def test_an_unknown_macro_is_named_with_the_known_ones(command, message):
    with pytest.raises(SweepError, match=message) as error:
        command_of(command, "train_qa.py")
    assert all(known in str(error.value) for known in ("${args}", "${program}", "${name}", "${envvar:NAME}"))


def test_a_program_or_variable_that_is_not_there_is_named():
    with pytest.raises(SweepError, match=r"program: found no file 'other\.py' in "):
        command_of(["${program}"], "other.py")
    command_of(["accelerate", "launch"], "other.py")  # which this command does not start
    with pytest.raises(SweepError, match="the environment has no QA_NO_SUCH_VARIABLE"):
        words("run", "${envvar:QA_NO_SUCH_VARIABLE}")


def test_flags_that_no_run_can_have_are_named_with_the_run(capsys):
    bad = trial_of({}, {"no-such-flag": 1}, [])
    with pytest.raises(SweepError, match=rf"the run {bad.name} cannot be started with --no-such-flag=1"):
        command_of(["run"], "train_qa.py").config_of(bad, Path("runs/one"))
    assert "no-such-flag" in capsys.readouterr().err
