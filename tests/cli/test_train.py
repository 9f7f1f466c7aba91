"""`qa train` is the page: its flags, its messages, its exit status."""

from pathlib import Path

import pytest

from qa.cli.main import main
from qa.experiments.commands import command_of, page


@pytest.mark.parametrize(("arguments", "status"), [(["sample", "--seed", "7"], 0), (["nonsense"], 1)])
def test_what_follows_is_handed_to_the_page(arguments, status, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr("train_qa.run", seen.append)
    assert main(["train", *arguments]) == status
    assert [config.seed for config in seen] == ([7] if status == 0 else [])
    assert ("no preset 'nonsense'" in capsys.readouterr().err) == (status == 1)


def test_help_is_the_page_s(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    assert ended.value.code == 0
    assert "--training.learning-rate" in capsys.readouterr().out


@pytest.mark.parametrize("here", [True, False])
def test_runs_of_other_commands_find_the_page_in_the_folder_or_where_it_is_installed(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if here:
        (tmp_path / "train_qa.py").touch()
    assert (page() == "train_qa.py") is here
    assert Path(page()).is_file()
    command_of(["${interpreter}", "${program}"], page())
