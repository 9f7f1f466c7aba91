"""A command line or a file becomes one frozen configuration, or an error that names the setting."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml

from qa.config import (
    DataConfig,
    DecodingConfig,
    FeaturesConfig,
    RunConfig,
    TrackingConfig,
    TrainingConfig,
    config_values,
)
from qa.errors import ConfigError
from qa.presets import PRESETS, changed_config, load_config, parse_config
from qa.run_folder.records import save_config

FLAGS = {
    "--model": ("some/model", "some/model"),
    "--train-data": ("train.json", "train.json"),
    "--train-weight": ("2.5", 2.5),
    "--more-train-data": ("squad*0.1", ("squad*0.1",)),
    "--validation-data": ("sample", "sample"),
    "--output-dir": ("runs/other", Path("runs/other")),
    "--seed": ("7", 7),
    "--resume": ("auto", "auto"),
    "--max-train-examples": ("100", 100),
    "--max-validation-examples": ("50", 50),
    "--features.max-length": ("256", 256),
    "--features.doc-stride": ("64", 64),
    "--features.max-question-length": ("32", 32),
    "--training.epochs": ("0.5", 0.5),
    "--training.max-steps": ("10", 10),
    "--training.learning-rate": ("1e-4", 1e-4),
    "--training.batch-size": ("4", 4),
    "--training.accumulation-steps": ("2", 2),
    "--training.warmup-ratio": ("0.2", 0.2),
    "--training.evaluate-every": ("5", 5),
    "--training.save-every": ("6", 6),
    "--decoding.n-best": ("3", 3),
    "--decoding.max-answer-tokens": ("12", 12),
    "--decoding.search": ("hf_parity", "hf_parity"),
    "--tracking.report-to": ("tensorboard", ("tensorboard",)),
}
"""The flags that scripts may count on, a value for each, and what it becomes."""


def landed(config, flag):
    value = config
    for part in flag.removeprefix("--").replace("-", "_").split("."):
        value = getattr(value, part)
    return value


def leaves(config, prefix=""):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


# --- flags ---


@pytest.mark.parametrize("flag", FLAGS)
def test_promised_flag_lands_in_its_field(flag):
    text, wanted = FLAGS[flag]
    assert landed(parse_config([flag, text]), flag) == wanted
    assert landed(RunConfig(), flag) != wanted


def test_no_arguments_give_the_defaults():
    assert parse_config([]) == RunConfig()


def test_several_trackers_or_none():
    assert parse_config(["--tracking.report-to", "wandb", "tensorboard"]).tracking.trackers == ("wandb", "tensorboard")
    assert parse_config(["--tracking.report-to", "none"]).tracking.trackers == ()


def test_none_alone_is_no_tracker():
    with pytest.raises(ConfigError, match=r"tracking\.report-to .* none alone"):
        parse_config(["--tracking.report-to", "none", "wandb"])


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ([], None),
        (["--resume"], "auto"),
        (["--resume", "auto"], "auto"),
        (["--resume", "runs/qa/checkpoints/step-00000010"], "runs/qa/checkpoints/step-00000010"),
        (["--resume", "--seed", "3"], "auto"),
        (["--seed", "3", "--resume"], "auto"),
        (["--resume=auto"], "auto"),
    ],
)
def test_resume_may_stand_alone(flags, wanted):
    config = parse_config(flags)
    assert config.resume == wanted
    assert config.seed == (3 if "--seed" in flags else 42)


def test_unknown_flag_ends_with_its_name(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_config(["--training.epocs", "3"])
    assert ended.value.code != 0
    assert "--training.epocs" in "".join(capsys.readouterr())


def test_help_lists_every_flag_with_its_unit(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_config(["--help"])
    assert ended.value.code == 0
    words = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for leaf in leaves(RunConfig()):
        assert f"--{leaf.replace('_', '-')}" in words
    for unit in (
        "Longest window, in tokens",
        "Tokens that neighbouring windows share",
        "Optimizer steps between evaluations",
        "Features per device and forward pass",
        "Longest answer, in tokens",
        "Share of all steps",
        "Passes over the training features",
    ):
        assert unit in words
    for preset in PRESETS:
        assert preset in words


# --- presets and files ---


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_the_default_that_flags_override(preset):
    assert parse_config([preset]) == PRESETS[preset]
    changed = parse_config([preset, "--seed", "5", "--training.batch-size", "3"])
    assert changed.seed == 5
    assert changed.training == dataclasses.replace(PRESETS[preset].training, batch_size=3)
    assert changed.model == PRESETS[preset].model


def test_length_costs_something_where_that_was_measured():
    assert PRESETS["minilm-squad"].decoding.length_cost == 0.06
    others = {name: preset for name, preset in PRESETS.items() if name != "minilm-squad"}
    assert {preset.decoding.length_cost for preset in others.values()} == {None}
    with pytest.raises(
        ConfigError, match=r"length-cost is 0\.06; wanted 0 .*head tokens.*; other values .* minilm-squad$"
    ):
        parse_config(["minilm-squad", "--head", "tokens"])
    assert parse_config(["minilm-squad", "--head", "tokens", "--decoding.length-cost", "0"]).head == "tokens"


def test_demo_needs_nothing_from_a_hub():
    demo = PRESETS["demo"]
    assert (demo.model, demo.train_data, demo.validation_data) == ("minilm", "sample", "sample")


def test_unknown_preset_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no preset 'demmo'.*minilm-squad"):
        parse_config(["demmo"])


EVERYTHING = RunConfig(
    model="m",
    validation_data=None,
    output_dir=Path("somewhere/else"),
    max_train_examples=3,
    data=DataConfig(name="de", on_bad_example="repair", allow_impossible=False),
    features=FeaturesConfig(max_length=64, cache_dir=Path("cache")),
    training=TrainingConfig(max_steps=3, learning_rate=3e-5, schedule="cosine", keep_last=2, fused=False),
    decoding=DecodingConfig(search="hf_parity", no_answer_threshold=-1.5, language="fr"),
    tracking=TrackingConfig(report_to=("tensorboard", "trackio"), run_name="näme"),
)


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_config_file_gives_the_same_run_again(suffix, tmp_path):
    path = tmp_path / f"config{suffix}"
    if suffix == ".json":
        save_config(EVERYTHING, path)
        json.loads(path.read_text(encoding="utf-8"))
    else:
        path.write_text(yaml.safe_dump(config_values(EVERYTHING)), encoding="utf-8")
    assert load_config(path) == EVERYTHING
    assert parse_config([str(path)]) == EVERYTHING
    changed = parse_config([str(path), "--training.max-steps", "9", "--output-dir", "there"])
    training = dataclasses.replace(EVERYTHING.training, max_steps=9)
    assert changed == dataclasses.replace(EVERYTHING, training=training, output_dir=Path("there"))


def test_config_file_of_a_resumed_run_does_not_resume_again(tmp_path):
    save_config(RunConfig(resume="auto"), tmp_path / "config.json")
    assert load_config(tmp_path / "config.json").resume == "auto"
    assert parse_config([str(tmp_path / "config.json")]).resume is None


def test_what_a_file_leaves_out_has_its_default(tmp_path):
    (tmp_path / "c.yaml").write_text("training: {epochs: 7, learning_rate: 3e-4}\n")
    config = load_config(tmp_path / "c.yaml")
    assert config == RunConfig(training=TrainingConfig(epochs=7.0, learning_rate=3e-4))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("training: {epocs: 3}", "training.epocs"),
        ("modle: x", "modle"),
        ("seed: many", "seed"),
        ("decoding: {search: fast}", "decoding.search"),
        ("training: {best_metric: fi}", "training.best-metric"),
        ("tracking: {report_to: [wanb]}", "tracking.report_to"),
        ("training: {epochs: 0}", "training.epochs"),
        ("training: {epochs: true}", "c.yaml: training.epochs: wanted a number; found True"),
        ("max_validation_examples: true", "c.yaml: max_validation_examples: wanted a number; found True"),
        ("", "the file"),
        ("[1, 2]", "the file"),
        ("{", "cannot read"),
    ],
)
def test_bad_file_is_an_error_that_names_the_setting(text, named, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(named)):
        parse_config([str(path)])


def test_paths_are_taken_for_names_of_files_and_folders():
    config = changed_config(
        RunConfig(),
        {
            "model": Path("m"),
            "train_data": Path("d.json"),
            "more_train_data": (Path("e.json"), "squad*0.1"),
            "validation_data": Path("v.json"),
            "more_validation_data": (Path("own=w.json"),),
            "recipe": {"teacher": [Path("t")]},
        },
    )
    assert (config.model, config.train_data, config.validation_data) == ("m", "d.json", "v.json")
    assert config.more_train_data == ("e.json", "squad*0.1")
    assert config.further_validation_data() == {"own": ("w.json", None)}
    assert config.recipe.teacher == ("t",)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_validation_examples": True}, "max_validation_examples: wanted a number; found True"),
        ({"training": {"batch_size": True}}, "training.batch_size: wanted a number; found True"),
        ({"training": {"adam_betas": (False, 0.9)}}, "training.adam_betas: wanted a number; found False"),
    ],
)
def test_truth_values_are_no_numbers(changes, named):
    with pytest.raises(ConfigError, match=f"^{re.escape(named)}$"):
        changed_config(RunConfig(), changes)
    assert changed_config(RunConfig(), {"training": {"fused": True, "profile": True}}).training.fused is True


def test_missing_and_binary_files_are_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.json"):
        parse_config([str(tmp_path / "nothing.json")])
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml"):
        parse_config([str(tmp_path / "binary.yaml")])


def test_the_folder_of_a_run_may_have_the_id_that_an_agent_gives(monkeypatch):
    flags = ["--output-dir", "runs/sweep-{wandb_run_id}"]
    for name in ("a1b2", "c3d4"):
        monkeypatch.setenv("WANDB_RUN_ID", name)
        assert parse_config(flags).output_dir == Path(f"runs/sweep-{name}")
    monkeypatch.delenv("WANDB_RUN_ID")
    with pytest.raises(ConfigError, match="no WANDB_RUN_ID"):
        parse_config(flags)


ACCUMULATION = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"


@pytest.mark.parametrize(("told", "steps"), [("1", 1), ("4", 4)])
def test_a_launcher_s_accumulation_is_taken_where_none_was_given(told, steps, monkeypatch):
    """accelerate would divide every gradient by it, and accumulate nothing."""
    monkeypatch.setenv(ACCUMULATION, told)
    assert parse_config([]).training.accumulation_steps == steps


@pytest.mark.parametrize("told", ["4", "auto", "-1"])
def test_a_launcher_that_says_otherwise_is_refused(told, monkeypatch):
    monkeypatch.setenv(ACCUMULATION, told)
    with pytest.raises(ConfigError, match=rf"{ACCUMULATION} is '{told}'; wanted training\.accumulation-steps, 2"):
        parse_config(["--training.accumulation-steps", "2"])


@pytest.mark.parametrize("flag", ["--training.compile", "--recipe.freeze-embeddings", "--data.allow-impossible"])
def test_every_switch_takes_the_form_of_sweep_agents(flag):
    """W&B's agents pass `--flag=True`."""
    section, name = flag.removeprefix("--").replace("-", "_").split(".")
    for value in (True, False):
        assert getattr(getattr(parse_config([f"{flag}={value}"]), section), name) is value
