"""A run with two checkpoints."""

import shutil

import pytest

from tests.support.checkpoints import new_loop, save


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    loop = new_loop(max_steps=6)
    for report in loop.steps():
        if report.number in {2, 4}:
            save(loop, folder)
    return folder


@pytest.fixture
def run_folder(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    return tmp_path / "run"
