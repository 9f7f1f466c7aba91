"""Every launch configuration is one that accelerate's own loader takes and says when to use it."""

from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file

FOLDER = Path(__file__).parents[2] / "accelerate_configs"
CLUSTERS = {"kubernetes", "skypilot"}  # see test_clusters.py
FILES = sorted(file for file in FOLDER.glob("*.yaml") if file.stem not in CLUSTERS)
WANTED = {
    "cpu",
    "cpu_bf16",
    "cpu_2_processes",
    "single_gpu_fp16",
    "multi_gpu_fp16",
    "multi_gpu_bf16",
    "multi_node",
    "fsdp2",
    "deepspeed_zero2",
}


def test_all_ways_of_running_are_there():
    assert {file.stem for file in FILES} >= WANTED


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_accelerate_loads_it_and_knows_every_key(file):
    config = load_config_from_file(str(file))
    assert isinstance(config, ClusterConfig)
    for key, value in yaml.safe_load(file.read_text()).items():
        found = getattr(config, key)
        assert str(getattr(found, "value", found)).lower() == str(value).lower(), key


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_first_line_says_when_to_use_it(file):
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 40


def test_precision_in_the_name_is_the_precision():
    for file in FILES:
        precision = load_config_from_file(str(file)).mixed_precision
        for name in ("fp16", "bf16"):
            assert name not in file.stem or precision == name
