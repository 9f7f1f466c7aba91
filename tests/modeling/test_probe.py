"""Asking a model: the windows that it gets, and what it cannot do in one line."""

import pytest
import torch

from qa.errors import ModelError
from qa.modeling.probe import Probe, differ, ordinary_tokens
from tests.support import tiny
from tests.support.trainers import reader_of

QUESTION, CONTEXT = [11, 12], [21, 22, 23, 24]


@pytest.fixture(scope="module")
def reader():
    return reader_of(tiny.model().eval())


@pytest.fixture(scope="module")
def probe(reader):
    return Probe(model=reader.model, input_names=reader.input_names, name="the/model")


def test_a_window_is_joined_as_features_are(probe, reader):
    known = reader.tokenizer
    batch = probe.batch(reader.encoder.template, [(QUESTION, CONTEXT), (QUESTION, CONTEXT[:1])])
    first, second = batch.inputs["input_ids"].tolist()
    assert first == [known.cls_token_id, *QUESTION, known.sep_token_id, *CONTEXT, known.sep_token_id]
    short = [known.cls_token_id, *QUESTION, known.sep_token_id, CONTEXT[0], known.sep_token_id]
    assert second == [*short, *[known.pad_token_id] * 3]
    assert batch.inputs["attention_mask"].sum(dim=1).tolist() == [9, 6]


def test_windows_can_be_padded_to_a_length(probe, reader):
    batch = probe.batch(reader.encoder.template, [(QUESTION, CONTEXT)], padded_to=20)
    assert batch.shape == (1, 20)


def test_the_logits_are_the_models_and_draw_nothing_that_a_run_would_miss(probe, reader):
    batch = probe.batch(reader.encoder.template, [(QUESTION, CONTEXT)])
    state = torch.get_rng_state()
    found = probe.logits(batch)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        output = reader.model(**batch.inputs)
    assert torch.equal(found[..., 0], output.start_logits)
    assert torch.equal(found[..., 1], output.end_logits)


def test_what_is_drawn_shows_between_two_calls(reader):
    model = tiny.model()
    model.train()
    probe = Probe(model=model, input_names=reader.input_names, name="the/model")
    batch = probe.batch(reader.encoder.template, [(QUESTION, CONTEXT)])
    one, other = probe.logits(batch), probe.logits(batch)
    assert differ(one, other, among=one)


def test_a_model_that_fails_is_named_with_the_length(reader):
    class Failing(torch.nn.Module):
        def forward(self, **_):
            raise RuntimeError("index out of range\nin self")

    probe = Probe(model=Failing(), input_names=reader.input_names, name="the/model")
    with pytest.raises(ModelError, match=r"^model 'the/model' does not take windows of 9 tokens: index out of range$"):
        probe.logits(probe.batch(reader.encoder.template, [(QUESTION, CONTEXT)]))


def test_logits_of_another_shape_are_refused(reader):
    class Pooled(torch.nn.Module):
        def forward(self, input_ids, **_):
            pooled = torch.zeros(len(input_ids), 1)
            return type("Output", (), {"start_logits": pooled, "end_logits": pooled})

    probe = Probe(model=Pooled(), input_names=reader.input_names, name="the/model")
    with pytest.raises(ModelError, match=r"logits of shapes \(\(1, 1\), \(1, 1\)\); wanted one start and one end"):
        probe.logits(probe.batch(reader.encoder.template, [(QUESTION, CONTEXT)]))


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], False),
        ([1.0, 2.0], [1.0, 2.001], True),
        ([0.0, 0.0], [0.0, 0.0], False),
        ([0.0, 1e-9], [0.0, 2e-9], True),
        ([1.0, 2.0], [1.0, float("nan")], True),
    ],
)
def test_logits_differ_by_more_than_rounding_of_the_largest(one, other, wanted):
    first = torch.tensor(one)
    assert differ(first, torch.tensor(other), among=first) is wanted


def test_rounding_goes_by_the_largest_logit_of_the_window():
    """Some of its logits may be as small as rounding is."""
    one, other = torch.tensor([1e-7]), torch.tensor([3e-7])
    assert differ(one, other, among=one)
    assert not differ(one, other, among=torch.tensor([1e-7, -5.0]))


def test_ordinary_tokens_are_from_all_over_the_vocabulary():
    known = tiny.tokenizer()
    found = ordinary_tokens(known, 20)
    assert len(set(found)) == 20
    assert not set(found) & set(known.all_special_ids)
    assert found[0] < len(known) / 20
    assert found[-1] > len(known) * 0.9
