"""Calls that run together are answered as alone."""

import torch

from qa.inference.torch_reader import run_together


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
