"""The model's card: metadata as the hub reads it, a snippet that runs, and the calls that push it."""

import json
import re
from dataclasses import replace

import pytest
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HFValidationError

from qa import Predictor
from qa.config import DecodingConfig, FeaturesConfig, RunConfig
from qa.errors import HubError
from qa.modeling.settings import DEFAULT_SETTINGS, save_settings
from qa.run_folder.model_card import model_card, publish
from qa.run_folder.paths import RunPaths
from tests.support import tiny
from tests.support.finished import ROWS, answers, write_run

SCORES = {"exact": 61.234, "f1": 70.5, "total": 12, "HasAns_f1": 65.0}
VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"}


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "my-run"
    (folder / "model").mkdir(parents=True)
    tiny.save_reader(folder / "model")
    settings = replace(DEFAULT_SETTINGS, null_possible=True, no_answer_threshold=0.125)
    save_settings(settings, folder / "model")
    (folder / "metrics.json").write_text(json.dumps(SCORES))
    (folder / "environment.json").write_text(json.dumps({"versions": VERSIONS}))
    return folder


def card(folder, **changes):
    return ModelCard(model_card(RunConfig(output_dir=folder, **changes), RunPaths(folder)))


def test_the_metadata_is_what_the_hub_reads(run_folder):
    found = card(run_folder, train_data="squad_v2", validation_data="squad_v2")
    data = found.data
    assert (data.base_model, data.license) == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")
    assert (data.datasets, data.language, data.pipeline_tag) == ("rajpurkar/squad_v2", "en", "question-answering")
    assert {result.metric_type: result.metric_value for result in data.eval_results} == {
        "exact_match": 61.23,
        "f1": 70.5,
    }
    assert {result.dataset_type for result in data.eval_results} == {"rajpurkar/squad_v2"}
    assert data.to_dict()["model-index"][0]["name"] == "my-run"


def test_the_embedded_models_name_what_they_are_made_from(run_folder):
    data = card(run_folder, model="multilingual").data
    assert (data.base_model, data.license) == ("intfloat/multilingual-e5-small", "mit")


@pytest.mark.parametrize(("language", "wanted"), [("zh-cmrc", "zh"), ("pt_BR", "pt"), ("en-US", "en"), ("no", "no")])
def test_the_language_is_a_code_that_the_hub_takes(run_folder, language, wanted):
    """huggingface_hub#3862: it refuses all but ISO 639 codes, at the end of a run that is to be pushed."""
    assert card(run_folder, decoding=DecodingConfig(language=language)).data.language == wanted


def test_what_is_no_hub_id_is_not_given_as_one(run_folder):
    data = card(run_folder, model=str(run_folder / "model"), train_data="sample").data
    assert data.base_model is None
    assert data.datasets is None
    assert data.license is None
    assert {result.dataset_type for result in data.eval_results} == {"local"}


def test_the_text_has_hyperparameters_versions_scores_and_the_threshold(run_folder):
    text = card(run_folder, seed=7, max_train_examples=99).text
    for line in ("| learning_rate | 3e-05 |", "| seed | 7 |", "| training examples | 99 |", "| torch | 2.13.0 |"):
        assert line in text
    assert "| HasAns_f1 | 65.0 |" in text
    assert "above 0.125, fitted" in text
    assert "log odds." not in text


def test_the_text_says_how_the_answer_is_chosen(run_folder):
    assert "overlaps most" not in card(run_folder).text
    save_settings(replace(DEFAULT_SETTINGS, length_cost=0.04, choice="overlap"), run_folder / "model")
    text = card(run_folder).text
    assert "Every token of an answer after its first costs 0.04 log odds." in text
    assert "overlaps most with all likely ones, each weighed by its likelihood. With transformers alone" in text
    save_settings(replace(DEFAULT_SETTINGS, head="conditional", choice="overlap"), run_folder / "model")
    assert "overlaps most" in (text := card(run_folder, head="conditional").text)
    assert "the likeliest is the answer" not in text


def snippets(folder, **changes):
    """The code that uses this package, and the code that does not."""
    return re.findall(r"```python\n(.*?)```", card(folder, **changes).text, re.DOTALL)


def test_the_snippet_runs(run_folder, capsys):
    code, _ = snippets(run_folder)
    exec(compile(code, "card", "exec"), {})
    assert float(capsys.readouterr().out.split()[-1]) <= 1


@pytest.mark.parametrize("cost", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "modernbert", "deberta-v2"])
def test_the_snippet_without_this_package_answers_alike(family, cost, run_folder, capsys):
    tiny.save_reader(run_folder / "model", family)
    save_settings(replace(DEFAULT_SETTINGS, null_possible=True, length_cost=cost), run_folder / "model")
    settings = FeaturesConfig(max_length=96, doc_stride=16)
    _, code = snippets(run_folder, features=settings, decoding=DecodingConfig(max_answer_tokens=3))
    assert "qa" not in re.findall(r"\w+", code)
    exec(compile(code, "card", "exec"), {})
    answer = Predictor.from_pretrained(run_folder / "model")(
        question="Who named the Amazon?",
        context="Francisco de Orellana named the Amazon in 1541.",
        no_answer=False,
        max_answer_length=3,
        max_length=96,
    )
    assert capsys.readouterr().out.rstrip("\n") == answer["answer"]


def test_a_run_without_evaluation_has_a_card_without_scores(run_folder):
    (run_folder / "metrics.json").unlink()
    found = card(run_folder)
    assert found.data.eval_results is None
    assert "## Scores" not in found.text


def test_a_card_shows_its_plots_and_slices(tmp_path, monkeypatch):
    """Each picture that it shows lies beside it, so that it is pushed with it."""
    found = answers(lambda at: at % 2 == 0)
    folder = write_run(tmp_path / "run", "sample", found, history=[(1, 1.0, 20.0), (2, 2.0, 30.0)])
    listed = {key: [{"text": text, "start": 0, "end": 1, "probability": 0.5}] for key, text in found.items()}
    (folder / "nbest_predictions.json").write_text(json.dumps(listed))
    (folder / "model").mkdir()
    pushed = []
    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(HfApi, "upload_folder", lambda _, folder_path, **__: pushed.extend(folder_path.iterdir()))
    publish(RunPaths(folder), RunConfig(output_dir=folder, push_to_hub="someone/reader"), ROWS)
    text = (folder / "model" / "README.md").read_text()
    assert re.findall(r"!\[.*?\]\((.*?)\)", text) == ["reliability.svg", "scores.svg"]
    assert {file.name for file in pushed} == {"README.md", "reliability.svg", "scores.svg"}
    assert "| by | group | examples | exact match | F1 |\n| --- | --- | --- | --- | --- |\n| all |  | 60 | " in text
    assert "of the 60 validation examples" in text
    assert ModelCard(text).data.model_name == "reader"


def test_a_card_without_answers_shows_neither(run_folder):
    text = card(run_folder).text
    assert "![" not in text
    assert "### Slices" not in text


def test_a_reader_that_tags_tokens_is_called_so_and_has_no_snippet_for_spans(run_folder):
    found = card(run_folder, head="tokens").text
    assert "a head that tags tokens" in found
    assert found.count("```python") == 1
    assert "a start and an end head" in card(run_folder).text


def test_a_reader_of_conditional_ends_says_that_transformers_alone_refuses_it(run_folder):
    found = card(run_folder, head="conditional").text
    assert "a start head and one of ends given their starts" in found
    assert "transformers alone refuses this folder" in found
    assert found.count("```python") == 1


@pytest.mark.parametrize(("country", "said"), [("France", "electricity of France"), (None, "the world's mean")])
def test_energy_that_was_counted_is_told_over_all_attempts(country, said, run_folder):
    assert "co2_eq_emissions" not in card(run_folder).data.to_dict()
    parts = {"cpu_energy": 0.001, "gpu_energy": 1.5, "ram_energy": 0.0005, "emissions": 0.1, "duration": 9.0}
    lines = [{"attempt": at, **parts, "country_name": country, "codecarbon_version": "3.3.2"} for at in ("a", "b")]
    RunPaths(run_folder).energy.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = card(run_folder)
    assert "3 kWh in 2 attempts: CPU 2 Wh, GPU 3 kWh, memory 1 Wh; 200 g of CO₂" in found.text
    assert said in found.text
    emissions = found.data.to_dict()["co2_eq_emissions"]
    assert (emissions["emissions"], emissions["source"]) == (200.0, "CodeCarbon 3.3.2")
    assert emissions.get("geographical_location") == country


def test_a_finished_run_gets_its_card(run_folder):
    publish(RunPaths(run_folder), RunConfig(output_dir=run_folder))
    assert ModelCard.load(run_folder / "model" / "README.md").data.model_name == "my-run"


def test_pushing_makes_the_repository_and_uploads_the_folder(run_folder, monkeypatch):
    calls = []
    monkeypatch.setattr(HfApi, "create_repo", lambda _, repo_id, **given: calls.append((repo_id, given)))
    monkeypatch.setattr(HfApi, "upload_folder", lambda _, **given: calls.append(given))
    publish(RunPaths(run_folder), RunConfig(output_dir=run_folder, push_to_hub="someone/reader"))
    made, uploaded = calls
    assert made == ("someone/reader", {"repo_type": "model", "exist_ok": True})
    assert (uploaded["repo_id"], uploaded["folder_path"]) == ("someone/reader", run_folder / "model")
    text = (run_folder / "model" / "README.md").read_text()
    assert 'Predictor.from_pretrained("someone/reader")' in text
    assert ModelCard(text).data.model_name == "reader"


def test_nothing_is_pushed_unless_asked(run_folder, monkeypatch):
    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: pytest.fail("asked the hub"))
    publish(RunPaths(run_folder), RunConfig(output_dir=run_folder))


@pytest.mark.parametrize("error", [OSError("no route to host"), HFValidationError("a bad name")])
def test_a_hub_that_does_not_take_it_is_one_message_and_the_card_stays(run_folder, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(HubError, match=f"cannot push .* to 'someone/reader': {error}"):
        publish(RunPaths(run_folder), RunConfig(output_dir=run_folder, push_to_hub="someone/reader"))
    assert (run_folder / "model" / "README.md").exists()
