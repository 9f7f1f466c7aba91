"""Calls that run together are answered as alone."""

import pytest
import torch

from qa.decoding.spans import find_spans
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.inference.torch_reader import run_together
from tests.support.predictors import CONTEXT, QUESTION
from tests.support.windows import LONG, TEXTS


class Model(torch.nn.Module):
    def forward(self, input_ids):
        self.shape = tuple(input_ids.shape)
        return type("Output", (), {"start_logits": input_ids * 2.0, "end_logits": input_ids * 3.0})


def test_calls_that_run_together_are_told_apart():
    model, calls = Model(), [{"input_ids": torch.full((rows, 4), rows)} for rows in (1, 2)]
    outputs = run_together(model, calls)
    assert model.shape == (3, 4)
    assert [output.start_logits.tolist() for output in outputs] == [[[2.0] * 4], [[4.0] * 4] * 2]
    assert [output.end_logits.shape for output in outputs] == [(1, 4), (2, 4)]


def test_no_gradients_are_kept():
    weight = torch.ones(1, requires_grad=True)
    (output,) = run_together(lambda x: x * weight, [{"x": torch.ones(1)}])
    assert not output.requires_grad


@pytest.mark.parametrize("window_shares", [False, True])
def test_spans_are_those_of_batches_from_the_loader(predictor, window_shares):
    """Byte for byte, in several languages, with one window and with many."""
    options = predictor.options(no_answer=True)
    for context in (*TEXTS, LONG, CONTEXT):
        features = predictor.features([{"question": QUESTION, "context": context}], options)
        batches = evaluation_batches(features.lengths, 3, "cpu")
        found = predictor.reader.find_spans(features, batches, options.decoding, window_shares=window_shares)
        wanted = find_spans(
            predictor.reader.model,
            batch_loader(features, batches, input_names=predictor.input_names, device=torch.device("cpu")),
            options.decoding,
            features=len(features),
            window_shares=window_shares,
        )
        for name, column in vars(found).items():
            assert column.tobytes() == getattr(wanted, name).tobytes(), name
