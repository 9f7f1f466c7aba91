"""`qa export-checkpoint`: a checkpoint of a run -> a model."""

import pytest

from qa.cli.main import main
from qa.modeling.reader import load_reader
from qa.run_folder.paths import RunPaths
from tests.support.checkpoints import averaged_run
from tests.support.trainers import assert_same_weights


@pytest.mark.parametrize(("kind", "at"), [("trained", 0), ("averaged", 1)])
def test_the_command_makes_the_model_of_a_step(kind, at, tmp_path, capsys):
    found = averaged_run(tmp_path / "run")
    checkpoint = RunPaths(tmp_path / "run").checkpoint(3)
    arguments = ["export-checkpoint", str(checkpoint), str(tmp_path / "model"), "--weights", kind]
    assert main(arguments) == 0
    assert str(tmp_path / "model") in capsys.readouterr().out
    made = load_reader(str(tmp_path / "model"), max_length=64)
    assert_same_weights(dict(made.model.state_dict()), found[3][at], rtol=0, atol=0)
    assert main(arguments) == 1
    assert "is there already" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
