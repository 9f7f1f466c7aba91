"""`qa configs` writes the launch configurations, and overwrites nothing unasked."""

from pathlib import Path

import pytest

from qa.cli.main import main

CONFIGS = Path(__file__).parents[2] / "accelerate_configs"
NAMES = sorted(path.name for path in CONFIGS.iterdir())


@pytest.mark.parametrize("folder", [None, "elsewhere"])
def test_all_configurations_are_written_as_they_are(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["configs", *([folder] if folder else [])]) == 0
    shown = capsys.readouterr().out
    written = tmp_path / (folder or "accelerate_configs")
    assert sorted(path.name for path in written.iterdir()) == NAMES
    for name in NAMES:
        assert (written / name).read_text() == (CONFIGS / name).read_text()
    assert all(name in shown for name in NAMES)


def test_files_that_are_there_stay_unless_told_otherwise(tmp_path, capsys):
    file = tmp_path / NAMES[0]
    file.write_text("mine")
    assert main(["configs", str(tmp_path)]) == 1
    assert f"{file}: there already" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert main(["configs", str(tmp_path), "--overwrite"]) == 0
    assert file.read_text() == (CONFIGS / NAMES[0]).read_text()
