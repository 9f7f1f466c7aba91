"""reader.json: how a trained reader is used."""

import contextlib
import dataclasses
import json
import math

import pytest

from qa.config import DecodingConfig, FeaturesConfig, RunConfig
from qa.errors import ModelError
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from qa.modeling.settings import (
    DEFAULT_SETTINGS,
    FORMAT,
    SETTINGS_FILE,
    ReaderSettings,
    find_file,
    find_settings,
    load_settings,
    save_settings,
    settings_of,
)
from tests.support import tiny, zoo

SETTINGS = ReaderSettings(
    max_length=128,
    doc_stride=32,
    max_question_length=16,
    n_best=5,
    max_answer_tokens=9,
    search="hf_parity",
    null_possible=True,
    no_answer_threshold=-1.25,
)


def test_settings_come_back_as_saved(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(dataclasses.asdict(SETTINGS)))
    assert load_settings(tmp_path) == SETTINGS
    assert find_settings(str(tmp_path)) == SETTINGS
    tiny.save_reader(tmp_path)
    assert load_reader(str(tmp_path)).settings == SETTINGS


def saved_without_settings(folder, *, positions, most):
    """A reader of another program, which says nothing about windows."""
    tokenizer = tiny.fresh_tokenizer("bert")
    tokenizer.model_max_length = most
    tokenizer.save_pretrained(folder)
    zoo.model("bert", max_position_embeddings=positions).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("positions", "most", "wanted"), [(512, 10**30, 384), (130, 10**30, 128), (512, 96, 96)])
def test_without_settings_windows_are_what_model_and_tokenizer_take(positions, most, wanted, tmp_path):
    reader = Predictor.from_pretrained(saved_without_settings(tmp_path, positions=positions, most=most), device="cpu")
    assert reader.settings.max_length == wanted
    assert 0 < reader.settings.doc_stride < wanted
    context = "The Amazon was named by Francisco de Orellana. " * 60
    assert reader(question="Who named it?", context=context)["answer"] in context


def test_no_settings_are_none(tmp_path):
    assert load_settings(tmp_path) is None
    assert find_settings("some-owner/no-such-model") is None


def test_a_file_beside_the_weights_is_found_in_a_folder_of_the_folder(tmp_path):
    assert find_file(str(tmp_path), "onnx/layout.json") is None
    path = tmp_path / "onnx" / "layout.json"
    path.parent.mkdir()
    path.write_text("{}")
    assert find_file(str(tmp_path), "onnx/layout.json") == path


@pytest.mark.parametrize("content", ["", "{", '{"max_length": 3}', '{"max_length": "long"}', "[]", "\xff"])
def test_torn_settings_are_an_error_that_names_the_file(content, tmp_path):
    (tmp_path / SETTINGS_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match=rf"{SETTINGS_FILE} is not what a run saves"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("length_cost", value) for value in (1e39, -101.0, math.nan)),
        *((name, value) for name in ("temperature", "confidence_slope") for value in (0.0, -1.0, math.nan, math.inf)),
        *(("confidence_shift", value) for value in (math.nan, math.inf)),
    ],
)
def test_values_that_turn_the_order_round_or_make_no_numbers_are_an_error(name, value, tmp_path):
    save_settings(DEFAULT_SETTINGS, tmp_path)
    content = json.loads((tmp_path / SETTINGS_FILE).read_text())
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(content | {name: value}))
    with pytest.raises(ModelError, match=rf"(?s){SETTINGS_FILE} is not what a run saves.*{name.replace('_', '.')}"):
        load_settings(tmp_path)


def test_settings_of_a_run_are_those_of_its_configuration():
    config = RunConfig(
        features=FeaturesConfig(max_length=128, doc_stride=32, max_question_length=16),
        decoding=DecodingConfig(n_best=5, max_answer_tokens=9, search="hf_parity"),
    )
    assert settings_of(config, null_possible=True, threshold=-1.25) == SETTINGS


@pytest.mark.parametrize(("cost", "choice"), [(None, None), (0.0, "likeliest"), (0.25, "overlap")])
def test_how_answers_are_chosen_is_saved_with_the_model(cost, choice, tmp_path):
    config = RunConfig(decoding=DecodingConfig(length_cost=cost, choice=choice))
    save_settings(settings_of(config, null_possible=True, threshold=0.0), tmp_path)
    found = load_settings(tmp_path)
    assert (found.length_cost, found.choice) == (cost or 0.0, choice or "likeliest")


@pytest.mark.parametrize(("changes", "named"), [({"search": "hf_parity"}, "hf_parity"), ({"head": "tokens"}, "tokens")])
@pytest.mark.parametrize("own", [{"length_cost": 0.25}, {"choice": "overlap"}])
def test_a_choice_of_answers_where_there_is_none_is_refused_by_name(own, changes, named, tmp_path):
    save_settings(dataclasses.replace(SETTINGS, **({"search": "exact"} | own | changes)), tmp_path)
    ((name, value),) = own.items()
    with pytest.raises(ModelError, match=rf"decoding.{name.replace('_', '-')} is {value!r}; wanted .* with .*{named}"):
        load_settings(tmp_path)


def test_overlap_is_refused_where_all_answers_are_wanted(tmp_path):
    save_settings(dataclasses.replace(SETTINGS, search="exact", choice="overlap", answers="all"), tmp_path)
    with pytest.raises(ModelError, match=r"decoding\.choice is 'overlap'; wanted likeliest .*answers all"):
        load_settings(tmp_path)


def test_a_head_of_tokens_that_tagged_what_goes_on_is_refused_by_name(tmp_path):
    values = dataclasses.asdict(dataclasses.replace(SETTINGS, head="tokens"))
    for written, refused in ((values, False), ({**values, "format": None}, True), ({**values, "head": "spans"}, False)):
        kept = {name: value for name, value in written.items() if value is not None}
        (tmp_path / SETTINGS_FILE).write_text(json.dumps(kept))
        with pytest.raises(ModelError, match="go on with an answer") if refused else contextlib.nullcontext():
            assert load_settings(tmp_path).head == kept["head"]


def test_settings_of_a_newer_version_are_refused_by_its_format(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({**dataclasses.asdict(SETTINGS), "format": FORMAT + 1}))
    with pytest.raises(ModelError, match=f"has format {FORMAT + 1}; wanted {FORMAT} at most"):
        load_settings(tmp_path)
