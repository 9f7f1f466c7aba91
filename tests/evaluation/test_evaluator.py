"""From a model to scores: equal to a slow path that looks at every feature and every pair of tokens for itself."""

import contextlib
import dataclasses
import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from qa import metrics
from qa.config import ComparedScore, DataConfig, DecodingConfig, FeaturesConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.decoding.choice import with_most_overlapping_first
from qa.errors import ConfigError, IncompleteError, NotFiniteError
from qa.evaluation.evaluator import Evaluator
from qa.features.collation import collate
from qa.features.packing import Packing
from qa.features.windows import Encoder
from qa.modeling.conditional_head import add_conditional_head
from qa.modeling.quirks import model_inputs
from qa.modeling.reader import Reader
from qa.modeling.settings import ReaderSettings
from tests.support import tiny
from tests.support.conditional import pair_scores, trained_head

torch.set_num_threads(1)  # so small tensors are slower on several

WINDOWS = FeaturesConfig(max_length=30, doc_stride=6, max_question_length=10)
DECODING = DecodingConfig(n_best=5, max_answer_tokens=6, batch_size=4)
SETTINGS = ReaderSettings(
    max_length=40,
    doc_stride=8,
    max_question_length=16,
    n_best=5,
    max_answer_tokens=6,
    search="exact",
    null_possible=True,
    no_answer_threshold=0.75,
)


CONDITIONAL = replace(SETTINGS, head="conditional")


def reader_of(family="bert", settings=None, seed=0):
    """A reader whose untrained head gives logits that differ."""
    model, tokenizer = tiny.model(family, seed=seed), tiny.tokenizer(family)
    with torch.no_grad():
        head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        head.weight.normal_(generator=torch.Generator().manual_seed(seed))
    if settings == CONDITIONAL:
        add_conditional_head(model)
        trained_head(model)
    encoder = Encoder.of(tokenizer)
    return Reader(model=model, tokenizer=tokenizer, input_names=model_inputs(model), encoder=encoder, settings=settings)


def evaluator_for(reader, rows=None, config=DECODING, *, compiled=False, max_steps=None):
    examples = Examples(rows=tiny.small(9) if rows is None else rows)
    run = RunConfig(features=WINDOWS, decoding=config, training=TrainingConfig(compile=compiled, max_steps=max_steps))
    evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, examples, run)
    assert len(evaluator.features) > len(examples)
    return evaluator


def answerable():
    return tiny.small(9).filter(lambda row: bool(row["answers"]["text"]))


def slow_predictions(reader, evaluator):
    """Every feature alone, without padding; all pairs of tokens; returns text, score, null score of every example."""
    features, contexts = evaluator.features, evaluator.examples.rows["context"]
    found = {}
    reader.model.train(mode=False)
    for index in range(len(features)):
        batch = collate(features, np.array([index]), input_names=reader.input_names, pad_multiple=1)
        with torch.inference_mode():
            output = reader.model(**batch.inputs)
        example, null = int(features.example[index]), int(batch.null_position[0])
        scores = pair_scores(output, batch.in_context[0].tolist(), null)
        best, text, null_score = found.get(example, (-math.inf, "", math.inf))
        null_score = min(null_score, scores[null, null])
        columns = np.flatnonzero(batch.in_context[0].numpy())
        for first in columns:
            for last in columns:
                if not first <= last < first + evaluator.config.max_answer_tokens:
                    continue
                origin = int(batch.context_begin[0])
                begin, stop = features.char_spans(
                    np.array([index]), np.array([first - origin]), np.array([last - origin])
                )
                words = contexts[example][int(begin[0]) : int(stop[0])].strip()
                if words and scores[first, last] > best:
                    best, text = scores[first, last], words
        found[example] = best, text, null_score
    return [found[example] for example in range(len(evaluator.examples))]


# --- scores ---


@pytest.mark.parametrize(
    ("family", "settings"),
    [*((family, None) for family in tiny.FAMILIES), ("bert", CONDITIONAL), ("xlnet", CONDITIONAL)],
)
def test_predictions_and_scores_are_those_of_the_slow_path(family, settings):
    reader = reader_of(family, settings)
    evaluator = evaluator_for(reader, max_steps=None if settings is None else 0)
    assert evaluator.head == ("spans" if settings is None else "conditional")
    result = evaluator.evaluate(reader.model)
    slow = slow_predictions(reader, evaluator)
    assert result.predictions is not None
    assert result.predictions.best_texts == [text for _, text, _ in slow]
    odds = [null - best for best, _, null in slow]
    assert result.predictions.null_odds.tolist() == pytest.approx(odds, abs=1e-4)
    ids = evaluator.examples.rows["id"]
    references = dict(zip(ids, (answers["text"] for answers in evaluator.examples.rows["answers"]), strict=True))
    wanted = metrics.score(
        dict(zip(ids, (text for _, text, _ in slow), strict=True)),
        references,
        null_odds=dict(zip(ids, odds, strict=True)),
    )
    for name, value in wanted.items():
        assert result.scores[name] == pytest.approx(value, abs=1e-4), name


def test_scores_have_the_official_keys():
    reader = reader_of()
    first = evaluator_for(reader, answerable()).evaluate(reader.model)
    assert set(first.scores) == {"exact_match", "f1"}
    second = evaluator_for(reader).evaluate(reader.model)
    assert set(second.scores) == {
        *("exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total"),
        *("NoAns_exact", "NoAns_f1", "NoAns_total"),
        *("best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"),
        *("no_answer_threshold", "fitted_threshold", "fitted_f1"),
    }


def test_batches_change_no_prediction():
    reader = reader_of()
    results = [
        evaluator_for(reader, config=dataclasses.replace(DECODING, batch_size=size, batch_tokens=tokens)).evaluate(
            reader.model
        )
        for size, tokens in ((1, None), (3, None), (100, None), (None, None), (None, 40), (None, 100_000))
    ]
    for result in results[1:]:
        assert result.predictions.best_texts == results[0].predictions.best_texts
        assert result.scores["f1"] == results[0].scores["f1"]


def test_lengths_are_padded_as_asked_and_answers_stay_the_same():
    """A compiled model is to see few lengths."""
    reader, widths = reader_of(), []
    evaluator = evaluator_for(reader)
    wanted = evaluator.evaluate(reader.model)
    reader.model.register_forward_pre_hook(
        lambda _, __, inputs: widths.append(inputs["input_ids"].shape[1]), with_kwargs=True
    )
    found = evaluator_for(reader, compiled=True).evaluate(reader.model)
    assert set(widths) == {64}
    assert found.predictions.best_texts == wanted.predictions.best_texts


@pytest.mark.parametrize("head", ["spans", "conditional", "tokens"])
def test_packed_batches_change_no_prediction(head):
    """Rows of one length, with several features, of all lengths."""
    reader, shapes = reader_of(), []
    reader.prepare_head(head)
    run = RunConfig(features=WINDOWS, decoding=DECODING, head=head)
    packed = dataclasses.replace(run, training=TrainingConfig(packed_length=96))
    found = []
    for config in (run, packed):
        if config is packed:
            reader.accept_packed(Packing.of(config.training), max_length=WINDOWS.max_length)
            reader.model.register_forward_pre_hook(
                lambda _, __, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
            )
        evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, Examples(rows=tiny.small(9)), config)
        found.append(evaluator.evaluate(reader.model))
    assert {tokens for _, tokens in shapes} == {96}
    assert sum(rows for rows, _ in shapes) < len(evaluator.features)
    assert found[1].predictions.best_texts == found[0].predictions.best_texts
    assert found[1].predictions.null_odds == pytest.approx(found[0].predictions.null_odds, abs=1e-4)


@pytest.mark.usefixtures("fresh_accelerator")
def test_in_half_precision_weights_are_rounded_once_and_not_for_each_batch():
    accelerator, reader = Accelerator(cpu=True, mixed_precision="bf16"), reader_of()
    evaluator = dataclasses.replace(evaluator_for(reader), accelerator=accelerator)
    model = accelerator.prepare(reader.model)
    weights = [module.weight.shape for module in model.modules() if isinstance(module, torch.nn.Linear)]
    assert len(evaluator.features) > 2 * DECODING.batch_size
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True) as profile:
        evaluator.evaluate(model)
    rounded = [event.input_shapes[0] for event in profile.events() if event.name == "aten::_to_copy"]
    for shape in set(weights):
        assert rounded.count(list(shape)) == weights.count(shape)


def test_without_references_there_are_answers_but_no_scores():
    reader = reader_of()
    evaluator = evaluator_for(reader, tiny.without_references(tiny.small(9)))
    result = evaluator.evaluate(reader.model)
    assert result.scores is None
    assert len(result.predictions) == 9
    assert result.fitted_threshold == result.threshold == 0.0


def test_search_and_length_and_number_of_answers_are_followed():
    reader = reader_of()
    short = dataclasses.replace(DECODING, max_answer_tokens=1, n_best=2)
    result = evaluator_for(reader, config=short).evaluate(reader.model)
    assert max(np.diff(result.predictions.bounds)) <= 2
    assert all(len(text.split()) <= 1 for text in result.predictions.best_texts)
    parity = dataclasses.replace(DECODING, search="hf_parity")
    both = [evaluator_for(reader, config=config).evaluate(reader.model) for config in (DECODING, parity)]
    assert both[0].predictions.text != both[1].predictions.text


def test_language_of_the_scores_is_followed_and_checked_early():
    reader = reader_of()
    evaluator_for(reader, config=dataclasses.replace(DECODING, language="zh"))
    with pytest.raises(ConfigError, match="'xx'"):
        evaluator_for(reader, config=dataclasses.replace(DECODING, language="xx"))


@pytest.mark.parametrize(
    ("keep", "metric", "named"),
    [
        (lambda row: bool(row["answers"]["text"]), "NoAns_f1", "which this data cannot have; wanted exact"),
        (lambda row: not row["answers"]["text"], "HasAns_exact", "which this data cannot have; wanted exact"),
        (lambda row: bool(row["answers"]["text"]), "best_f1", "which this data cannot have; wanted exact"),
        (None, "f1", "wanted validation data with references"),
    ],
    ids=["all answerable", "none answerable", "thresholds", "no references"],
)
def test_a_metric_that_the_data_cannot_have_is_refused_before_a_step(keep, metric, named):
    rows = tiny.small(9)
    rows = rows.filter(keep) if keep is not None else rows.remove_columns("answers")
    run = RunConfig(features=WINDOWS, training=TrainingConfig(best_metric=metric))
    with pytest.raises(ConfigError, match=named):
        Evaluator.for_reader(Accelerator(cpu=True), reader_of(), Examples(rows=rows), run)


@pytest.mark.parametrize("answerable_only", [True, False])
def test_every_metric_that_is_not_refused_is_among_the_scores(answerable_only):
    """So that none can be missed after the first epoch."""
    rows = answerable() if answerable_only else tiny.small(9)
    taken = set()
    for metric in get_args(ComparedScore):
        run = RunConfig(features=WINDOWS, decoding=DECODING, training=TrainingConfig(best_metric=metric))
        with contextlib.suppress(ConfigError):
            evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader_of(), Examples(rows=rows), run)
            taken.add(metric)
    assert taken
    scores = evaluator.evaluate(reader_of().model).scores
    assert taken == set(get_args(ComparedScore)) & set(scores)


def test_model_is_evaluated_without_dropout_and_draws_nothing():
    reader = reader_of()
    evaluator = evaluator_for(reader)
    reader.model.train()
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    first, second = (evaluator.evaluate(reader.model) for _ in range(2))
    assert torch.equal(torch.rand(1), wanted)
    assert first.scores == second.scores
    assert np.array_equal(first.predictions.start_logit, second.predictions.start_logit)


def test_progress_is_shown_over_all_batches():
    reader, seen = reader_of(), []

    def watch(batches):
        for batch in batches:
            seen.append(len(batch))
            yield batch

    evaluator = evaluator_for(reader)
    evaluator.evaluate(reader.model, around=(watch, watch))
    assert sum(seen) == 2 * len(evaluator.features)


# --- "no answer" ---


def test_threshold_is_the_configured_the_saved_or_zero():
    configured = dataclasses.replace(DECODING, no_answer_threshold=-2.0)
    assert evaluator_for(reader_of(), config=configured).threshold == -2.0
    assert evaluator_for(reader_of(settings=SETTINGS), config=configured).threshold == -2.0
    assert evaluator_for(reader_of(settings=SETTINGS)).threshold == 0.75
    assert evaluator_for(reader_of()).threshold == 0.0


# --- the cost of length ---


def test_length_costs_what_is_configured_or_what_a_reader_says_that_is_used_as_it_is():
    configured = dataclasses.replace(DECODING, length_cost=0.5)
    own = dataclasses.replace(SETTINGS, length_cost=0.25, choice="overlap")
    used = [
        evaluator_for(reader_of(settings=settings), config=config, max_steps=max_steps).config
        for settings in (None, own)
        for config in (DECODING, configured)
        for max_steps in (0, None)
    ]
    assert [config.length_cost or 0.0 for config in used] == [0.0, 0.0, 0.5, 0.5, 0.25, 0.0, 0.5, 0.5]
    assert [config.choice == "overlap" for config in used] == [False, False, False, False, True, False, True, False]


def test_it_is_said_where_a_readers_own_choice_of_answers_is_not_used(caplog):
    caplog.set_level("INFO")
    own = dataclasses.replace(SETTINGS, length_cost=0.25, choice="overlap")
    lists = dataclasses.replace(DECODING, search="hf_parity")
    for config, max_steps in ((DECODING, None), (lists, 0)):
        caplog.clear()
        used = evaluator_for(reader_of(settings=own), config=config, max_steps=max_steps).config
        assert (used.length_cost, used.choice) == (None, None)
        assert "the model's length_cost 0.25 is not used" in caplog.text
        assert "the model's choice overlap is not used" in caplog.text


def test_the_cost_of_length_is_taken_off_what_is_scored():
    reader = reader_of()
    free, dear = (
        evaluator_for(reader, config=dataclasses.replace(DECODING, length_cost=cost)).evaluate(reader.model).predictions
        for cost in (0.0, 1.0)
    )
    assert sum(map(len, dear.best_texts)) < sum(map(len, free.best_texts))
    assert (dear.null_logits == free.null_logits).all()


def test_what_overlaps_most_is_what_is_scored():
    reader = reader_of()
    with torch.no_grad():
        reader.model.qa_outputs.weight.mul_(0.1)  # so that no span has nearly all
    likeliest, agreed = (
        evaluator_for(reader, config=dataclasses.replace(DECODING, n_best=20, choice=choice)).evaluate(reader.model)
        for choice in ("likeliest", "overlap")
    )
    wanted = with_most_overlapping_first(likeliest.predictions)
    assert wanted.best_texts != likeliest.predictions.best_texts
    assert agreed.predictions.best_texts == wanted.best_texts
    assert agreed.predictions.texts(0.0).count("") == likeliest.predictions.texts(0.0).count("")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"length_cost": 0.5}, "length-cost is 0.5; wanted 0"),
        ({"choice": "overlap"}, "choice is 'overlap'; wanted likeliest"),
    ],
)
def test_a_choice_of_answers_is_refused_where_the_reader_has_none(asked, message):
    own = dataclasses.replace(SETTINGS, head="tokens")
    config = dataclasses.replace(DECODING, **asked)
    with pytest.raises(ConfigError, match=f"decoding.{message} .*the head tokens"):
        evaluator_for(reader_of(settings=own), config=config, max_steps=0)


def test_a_reader_that_chooses_by_overlap_is_not_asked_for_all_answers_in_silence():
    run = RunConfig(
        features=WINDOWS, decoding=DECODING, training=TrainingConfig(max_steps=0), data=DataConfig(answers="all")
    )
    reader = reader_of(settings=dataclasses.replace(SETTINGS, choice="overlap"))
    with pytest.raises(ConfigError, match=r"decoding\.choice is 'overlap'; wanted likeliest .*answers all"):
        Evaluator.for_reader(Accelerator(cpu=True), reader, Examples(rows=tiny.small(9)), run)


# --- more of "no answer" ---


def test_a_reader_that_is_used_as_it_is_says_whether_no_answer_is_possible():
    """Whatever the references are: `qa predict` goes by the same."""
    for rows in (None, answerable(), tiny.without_references(tiny.small(9))):
        assert evaluator_for(reader_of(settings=SETTINGS), rows, max_steps=0).null_possible
        forgot = dataclasses.replace(SETTINGS, null_possible=False)
        assert not evaluator_for(reader_of(settings=forgot), rows, max_steps=0).null_possible


def test_a_reader_that_says_nothing_goes_by_the_references():
    assert evaluator_for(reader_of(), max_steps=0).null_possible
    assert not evaluator_for(reader_of(), answerable(), max_steps=0).null_possible


def test_a_reader_in_training_learns_no_answer_from_the_examples_of_the_run():
    every, some = Examples(rows=tiny.small(9)), Examples(rows=answerable())
    assert evaluator_for(reader_of(), answerable()).trained_on(every).null_possible
    assert evaluator_for(reader_of()).trained_on(some).null_possible
    assert not evaluator_for(reader_of(settings=SETTINGS), answerable()).trained_on(some).null_possible


@pytest.mark.parametrize("asked", [True, False])
def test_no_answer_is_as_asked_in_training_and_out_of_it(asked):
    config = dataclasses.replace(DECODING, no_answer=asked)
    for rows in (None, answerable()):
        for max_steps in (0, None):
            evaluator = evaluator_for(reader_of(settings=SETTINGS), rows, config, max_steps=max_steps)
            assert evaluator.null_possible == asked
            assert evaluator.trained_on(Examples(rows=tiny.small(9))).null_possible == asked


def test_no_answer_counts_as_wrong_where_every_question_has_an_answer():
    reader = reader_of(settings=SETTINGS)
    never = dataclasses.replace(DECODING, no_answer_threshold=-1e6)
    evaluation = evaluator_for(reader, answerable(), never, max_steps=0).evaluate(reader.model)
    assert evaluation.null_possible
    assert evaluation.scores == {"exact_match": 0.0, "f1": 0.0}


def test_without_no_answer_unanswerable_questions_are_answered_wrongly():
    reader, config = reader_of(), dataclasses.replace(DECODING, no_answer=False, no_answer_threshold=-1e6)
    evaluation = evaluator_for(reader, None, config).evaluate(reader.model)
    assert evaluation.scores["NoAns_f1"] == 0.0
    assert all(evaluation.predictions.texts(-1e6))
    assert evaluation.fitted_threshold == -1e6


def test_threshold_decides_what_is_answered():
    reader = reader_of()
    results = {
        threshold: evaluator_for(reader, config=dataclasses.replace(DECODING, no_answer_threshold=threshold)).evaluate(
            reader.model
        )
        for threshold in (-1e6, 1e6)
    }
    assert results[-1e6].predictions.texts(-1e6) == [""] * 9
    assert results[-1e6].scores["NoAns_exact"] == 100.0
    assert results[1e6].scores["NoAns_exact"] == 0.0
    assert results[1e6].scores["no_answer_threshold"] == 1e6
    assert results[1e6].scores["best_f1"] == results[-1e6].scores["best_f1"]


def test_fitted_threshold_gives_the_score_that_it_promises():
    reader = reader_of()
    first = evaluator_for(reader).evaluate(reader.model)
    fitted = dataclasses.replace(DECODING, no_answer_threshold=first.fitted_threshold)
    again = evaluator_for(reader, config=fitted).evaluate(reader.model)
    assert first.fitted_threshold == first.scores["fitted_threshold"]
    assert again.scores["f1"] == pytest.approx(first.scores["fitted_f1"])
    assert again.scores["f1"] >= first.scores["f1"]


# --- what must not happen ---


@pytest.mark.parametrize(
    ("value", "position"), [(math.nan, -1), (math.inf, 20), (math.inf, 0)], ids=["padding", "context", "null"]
)
def test_logits_that_are_no_numbers_stop_with_the_examples(value, position, monkeypatch):
    """Elsewhere they rank first, and the answer is whatever is there."""
    reader = reader_of()
    evaluator = evaluator_for(reader)
    ids = torch.from_numpy(evaluator.features.row(5)[0])
    forward = reader.model.forward

    def poisoned(**inputs):
        output = forward(**inputs)
        rows = (inputs["input_ids"][:, : len(ids)] == ids[: inputs["input_ids"].shape[1]]).all(dim=1)
        output.start_logits[rows, position] = value
        return output

    monkeypatch.setattr(reader.model, "forward", poisoned)
    broken = evaluator.examples.rows["id"][int(evaluator.features.example[5])]
    with pytest.raises(NotFiniteError, match=f"1 features are not numbers; the first examples: '{broken}'"):
        evaluator.evaluate(reader.model)


@pytest.mark.parametrize(("change", "count"), [(lambda rows: rows[:-1], 0), (lambda rows: [*rows, rows[-1]], 2)])
def test_lost_or_doubled_feature_is_an_error_that_names_it(change, count, monkeypatch):
    reader = reader_of()
    evaluator = evaluator_for(reader)
    find = Evaluator.find_spans

    def tampered(*given):
        spans = find(*given)
        return spans.at(np.array(change(list(range(len(spans.feature))))))

    monkeypatch.setattr(Evaluator, "find_spans", tampered)
    with pytest.raises(
        IncompleteError, match=rf"wanted each of {len(evaluator.features)} once: feature \d+ came {count}"
    ):
        evaluator.evaluate(reader.model)


def test_further_sets_are_scored_as_alone_with_their_names_before_the_scores():
    reader, rows = reader_of(), tiny.small(9)
    parts = {"one": rows.select(range(5)), "two": rows.select(range(4, 9))}
    run = RunConfig(
        features=WINDOWS,
        decoding=DECODING,
        more_validation_data=("one=a", "two=b"),
        training=TrainingConfig(best_metric="two/best_f1"),
    )
    further = {name: Examples(rows=part) for name, part in parts.items()}
    evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, Examples(rows=rows), run, further)
    evaluator = evaluator.trained_on(Examples(rows=rows))
    wanted = evaluator_for(reader, rows).trained_on(Examples(rows=rows)).evaluate(reader.model).scores
    found = evaluator.evaluate(reader.model).scores
    assert {name: value for name, value in found.items() if "/" not in name} == wanted
    for name, part in parts.items():
        alone = evaluator_for(reader, part).trained_on(Examples(rows=rows)).evaluate(reader.model).scores
        assert {f"{name}/{score}": value for score, value in alone.items()}.items() <= found.items()


@pytest.mark.parametrize("longest", [3, 60])
def test_questions_whose_end_is_not_read_are_told(longest, caplog):
    """Of further sets too; a longer question than that goes on, and the scores do not tell."""
    windows = FeaturesConfig(max_length=80, doc_stride=6, max_question_length=longest)
    run = RunConfig(features=windows, decoding=DECODING, more_validation_data=("own=a",))
    examples, further = Examples(rows=tiny.small(9)), {"own": Examples(rows=tiny.small(4))}
    with caplog.at_level("INFO", logger="qa"):
        Evaluator.for_reader(Accelerator(cpu=True), reader_of(), examples, run, further)
    told = [record.message for record in caplog.records if "max-question-length" in record.message]
    assert [line.partition(" have")[0] for line in told] == (
        ["validation data: 9 of 9 questions", "validation data own: 4 of 4 questions"] if longest == 3 else []
    )


def test_further_sets_are_scored_by_their_own_language():
    """A part of a Chinese answer is some of its words there, and another word by the English rule."""
    reader, context = reader_of(), "房子是艾达建的它很大"
    rows = tiny.examples(*(tiny.example(f"谁 {at}？", context, context) for at in range(4)))
    sets = {name: Examples(rows=rows) for name in ("usual", "zh")}
    decoding = replace(DECODING, no_answer=False)
    run = RunConfig(features=WINDOWS, decoding=decoding, more_validation_data=("usual=x", "zh:zh=x"))
    scores = Evaluator.for_reader(Accelerator(cpu=True), reader, sets["zh"], run, sets).evaluate(reader.model).scores
    assert scores["f1"] == scores["usual/f1"] < scores["zh/f1"]


def test_a_metric_that_no_set_can_have_is_told_with_those_there_are():
    run = RunConfig(features=WINDOWS, more_validation_data=("own=a",), training=TrainingConfig(best_metric="own/exact"))
    own = {"own": Examples(rows=answerable())}
    with pytest.raises(ConfigError, match=r"'own/exact', which this data cannot have; wanted .*own/exact_match"):
        Evaluator.for_reader(Accelerator(cpu=True), reader_of(), Examples(rows=answerable()), run, own)


@pytest.mark.parametrize(
    ("metric", "steps", "said"),
    [
        (None, 2, "is None, and the validation data has no references; wanted own/"),
        ("own/f1", 2, None),
        (None, 0, None),
        ("own/exact", 0, None),  # the configuration of a run that trained, on other data
    ],
)
def test_where_only_further_sets_have_references_one_must_say_which_model_is_best(metric, steps, said):
    """At the start, not at the first evaluation; where nothing is trained there is no best model."""
    training = TrainingConfig(best_metric=metric, max_steps=steps)
    run = RunConfig(features=WINDOWS, decoding=DECODING, more_validation_data=("own=a",), training=training)
    first, own = Examples(rows=answerable().remove_columns("answers")), {"own": Examples(rows=answerable())}
    reader = reader_of()
    if said is not None:
        with pytest.raises(ConfigError, match=said):
            Evaluator.for_reader(Accelerator(cpu=True), reader, first, run, own)
        return
    found = Evaluator.for_reader(Accelerator(cpu=True), reader, first, run, own).evaluate(reader.model)
    assert {name.partition("/")[0] for name in found.scores} == {"own"}
    assert found.fitted_threshold == found.threshold


def test_further_sets_keep_their_order_and_may_be_the_same_twice():
    reader, rows = reader_of(), tiny.small(6)
    sets = {"z": Examples(rows=rows), "größe_2": Examples(rows=rows.select([0])), "a-1": Examples(rows=rows)}
    run = RunConfig(features=WINDOWS, decoding=DECODING, more_validation_data=tuple(f"{name}=x" for name in sets))
    evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, Examples(rows=rows), run, sets)
    scores = evaluator.evaluate(reader.model).scores
    assert [*dict.fromkeys(name.partition("/")[0] for name in scores if "/" in name)] == [*sets]
    for name, value in scores.items():
        if "/" not in name:
            assert scores[f"z/{name}"] == scores[f"a-1/{name}"] == value


@pytest.mark.parametrize("head", ["conditional", "tokens"])
def test_lists_of_starts_and_ends_are_refused_where_a_head_has_none(head):
    reader = reader_of(settings=replace(SETTINGS, head=head))
    parity = replace(DECODING, search="hf_parity")
    with pytest.raises(ConfigError, match=f"search is 'hf_parity', and the reader has the head {head}; wanted exact"):
        evaluator_for(reader, config=parity, max_steps=0)
