"""Losses against plain loops over spans and tokens; padding changes none of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from qa.config import RecipeConfig
from qa.features.collation import Batch
from qa.features.joining import NO_LABEL
from qa.features.tags import BEGINS, ENDS, NO_TAG
from qa.modeling.loss import choose_loss, joint_span_loss, smoothed_span_loss, span_loss, teacher_loss, token_loss
from tests.support.conditional import RANK, numbers, plain_log_shares

LENGTHS = (9, 6)
CONTEXTS = ((3, 8), (2, 5))
"""First token of the context and the one after its last, of each feature; the null position is the first token."""
LABELS = ((4, 6), (0, 0))


def batch(width=9):
    columns = torch.arange(width)
    bounds = torch.tensor(CONTEXTS)
    return Batch(
        inputs={"attention_mask": (columns < torch.tensor(LENGTHS).unsqueeze(1)).long()},
        feature=torch.arange(2),
        in_context=(columns >= bounds[:, :1]) & (columns < bounds[:, 1:]),
        context_begin=bounds[:, 0],
        null_position=torch.zeros(2, dtype=torch.int64),
        label_first=torch.tensor([[first for first, _ in LABELS]]).T,
        label_last=torch.tensor([[last for _, last in LABELS]]).T,
        tokens=sum(LENGTHS),
    )


def logits(width=9):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 2, 9, generator=generator) * 3
    filled = torch.full((2, 2, width), 50.0)  # where padding is, anything may stand
    filled[:, :, : min(width, 9)] = values[:, :, :width]
    for row, length in enumerate(LENGTHS):
        filled[:, row, length:] = 50.0
    return filled[0], filled[1]


def plain_softmax_loss(values, label, smoothing=0.0):
    total = math.log(sum(math.exp(value) for value in values))
    return sum(
        ((1 - smoothing) * (at == label) + smoothing / len(values)) * (total - value) for at, value in enumerate(values)
    )


def plain_independent(smoothing=0.0):
    start, end = logits()
    rows = zip(start.tolist(), end.tolist(), LENGTHS, LABELS, strict=True)
    return sum(
        (plain_softmax_loss(s[:n], first, smoothing) + plain_softmax_loss(e[:n], last, smoothing)) / 2
        for s, e, n, (first, last) in rows
    )


def plain_joint():
    start, end = (side.tolist() for side in logits())
    loss = 0.0
    for row, (begin, stop) in enumerate(CONTEXTS):
        spans = [(first, last) for first in range(begin, stop) for last in range(first, stop)] + [(0, 0)]
        scores = {span: start[row][span[0]] + end[row][span[1]] for span in spans}
        loss += math.log(sum(math.exp(score) for score in scores.values())) - scores[LABELS[row]]
    return loss / 2


@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        ({}, plain_independent()),
        ({"label_smoothing": 0.2}, plain_independent(0.2)),
        ({"objective": "joint"}, plain_joint()),
    ],
    ids=["independent", "smoothed", "joint"],
)
def test_losses_equal_the_plain_loops_and_padding_changes_nothing(recipe, wanted):
    loss = choose_loss(RecipeConfig(**recipe))
    for width in (9, 16):
        assert float(loss(*logits(width), batch(width))) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", [span_loss, joint_span_loss, lambda *a: smoothed_span_loss(*a, smoothing=0.1)])
def test_gradients_are_finite_and_padding_has_none(loss):
    start, end = (side.clone().requires_grad_() for side in logits(16))
    loss(start, end, batch(16)).backward()
    padding = batch(16).inputs["attention_mask"] == 0
    for side in (start, end):
        assert side.grad.isfinite().all()
        assert (side.grad[padding] == 0).all()
        assert (side.grad[~padding] != 0).any()


def test_the_joint_loss_of_a_window_without_context_is_that_of_its_null_position():
    empty = batch()
    empty.in_context.zero_()
    empty.label_first.zero_()
    empty.label_last.zero_()
    start, end = (side.clone().requires_grad_() for side in logits())
    loss = joint_span_loss(start, end, empty)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-5)
    assert start.grad.isfinite().all()


def test_half_precision_logits_have_a_float32_loss():
    for loss in (span_loss, joint_span_loss):
        assert loss(*(side.half() for side in logits()), batch()).dtype == torch.float32


SEVERAL = (((4, 6), (7, 7)), ((0, 0),))


def several_labels(width=9):
    first, last = torch.tensor([[4, 7], [0, NO_LABEL]]), torch.tensor([[6, 7], [0, NO_LABEL]])
    return replace(batch(width), label_first=first, label_last=last)


def plain_sum_over_labels():
    loss = 0.0
    for row, length in enumerate(LENGTHS):
        start, end = (side[row, :length].double().softmax(0).tolist() for side in logits())
        loss -= math.log(sum(start[first] * end[last] for first, last in SEVERAL[row])) / 2
    return loss


def plain_joint_sum_over_labels():
    start, end = (side.tolist() for side in logits())
    loss = 0.0
    for row, (begin, stop) in enumerate(CONTEXTS):
        spans = [(first, last) for first in range(begin, stop) for last in range(first, stop)] + [(0, 0)]
        weight = {span: math.exp(start[row][span[0]] + end[row][span[1]]) for span in spans}
        loss -= math.log(sum(weight[span] for span in SEVERAL[row]) / sum(weight.values())) / 2
    return loss


@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        ({}, plain_sum_over_labels()),
        ({"label_smoothing": 0.2}, 0.8 * plain_sum_over_labels() + plain_independent(1.0) * 0.2),
        ({"objective": "joint"}, plain_joint_sum_over_labels()),
    ],
    ids=["independent", "smoothed", "joint"],
)
def test_the_probabilities_of_several_labels_are_added_up(recipe, wanted):
    loss = choose_loss(RecipeConfig(**recipe))
    for width in (9, 16):
        assert float(loss(*logits(width), several_labels(width))) == pytest.approx(wanted, rel=1e-5)


def test_the_gradient_of_several_labels_is_finite():
    for loss in (span_loss, joint_span_loss):
        start, end = (side.clone().requires_grad_() for side in logits(16))
        loss(start, end, several_labels(16)).backward()
        assert start.grad.isfinite().all()
        assert end.grad.isfinite().all()


def test_loss_is_the_plain_mean_where_there_is_no_padding():
    torch.manual_seed(0)
    start, end = torch.randn(3, 7), torch.randn(3, 7)
    batch = Batch(
        inputs={"attention_mask": torch.ones(3, 7, dtype=torch.int64)},
        feature=torch.arange(3),
        in_context=torch.ones(3, 7, dtype=torch.bool),
        context_begin=torch.zeros(3, dtype=torch.int64),
        null_position=torch.zeros(3, dtype=torch.int64),
        label_first=torch.tensor([[0], [3], [6]]),
        label_last=torch.tensor([[0], [4], [6]]),
        tokens=21,
    )
    wanted = (cross_entropy(start, batch.label_first[:, 0]) + cross_entropy(end, batch.label_last[:, 0])) / 2
    torch.testing.assert_close(span_loss(start, end, batch) / 3, wanted)
    assert span_loss(start.half(), end.half(), batch).dtype == torch.float32


# --- tokens ---


TAGS = ((0, BEGINS, ENDS, 0, BEGINS | ENDS), (ENDS, 0, 0))


def tagged(width=9):
    tags = torch.full((2, width), NO_TAG)
    for row, ((begin, end), own) in enumerate(zip(CONTEXTS, TAGS, strict=True)):
        tags[row, begin:end] = torch.tensor(own)
    return replace(batch(width), label_first=None, label_last=None, tags=tags)


def plain_token_loss():
    loss = 0.0
    for side, bit in zip(logits(), (BEGINS, ENDS), strict=True):
        for values, (first, _), own in zip(side.tolist(), CONTEXTS, TAGS, strict=True):
            above_null = [(tag & bit, values[column] - values[0]) for column, tag in enumerate(own, start=first)]
            loss += math.log(1 + sum(math.exp(-value) for is_wanted, value in above_null if is_wanted)) / 2
            loss += math.log(1 + sum(math.exp(value) for is_wanted, value in above_null if not is_wanted)) / 2
    return loss


def test_the_loss_of_tokens_equals_the_plain_loop_over_contexts():
    loss = choose_loss(RecipeConfig(), "tokens")
    for width in (9, 16):
        assert float(loss(*logits(width), tagged(width))) == pytest.approx(plain_token_loss(), rel=1e-5)


def test_tokens_beside_context_and_null_position_have_no_gradient():
    sides = [side.clone().requires_grad_() for side in logits(16)]
    token_loss(*sides, tagged(16)).backward()
    counted = tagged(16).in_context.clone()
    counted[:, 0] = True
    for side in sides:
        assert ((side.grad != 0) == counted).all()


# --- ends given starts ---


def wide(width=9):
    """Numbers of the head, with anything where padding is."""
    filled = torch.full((2, 2, width, 1 + RANK), 50.0)
    filled[:, :, :9] = numbers(2, 9, seed=1)
    for row, length in enumerate(LENGTHS):
        filled[:, row, length:] = 50.0
    return [side.flatten(1) for side in filled]


def plain_conditional(labels):
    inside = batch().in_context.tolist()
    loss = 0.0
    for row, spans in enumerate(labels):
        starts, ends = (side.unflatten(1, (9, -1))[row].tolist() for side in wide())
        shares = plain_log_shares(starts, ends, inside[row], 0)
        loss -= math.log(sum(math.exp(shares[span]) for span in spans)) / 2
    return loss


@pytest.mark.parametrize(
    ("make", "labels"), [(batch, tuple((one,) for one in LABELS)), (several_labels, SEVERAL)], ids=["one", "several"]
)
def test_the_loss_of_ends_given_starts_equals_the_plain_loop_over_spans(make, labels):
    loss = choose_loss(RecipeConfig(), "conditional")
    for width in (9, 16):
        starts, ends = (side.requires_grad_() for side in wide(width))
        found = loss(starts, ends, make(width))
        assert float(found.detach()) == pytest.approx(plain_conditional(labels), rel=1e-5)
        found.backward()
        padding = (make(width).inputs["attention_mask"] == 0).unsqueeze(2).expand(-1, -1, 1 + RANK).flatten(1)
        for side in (starts, ends):
            assert side.grad.isfinite().all()
            assert (side.grad[padding] == 0).all()
            assert (side.grad[~padding] != 0).any()


def test_without_a_product_it_is_the_joint_loss_of_starts_that_know_their_ends():
    """The start's logit plus the log of the sum over its ends: so the joint objective is within what it can learn."""
    starts, ends = (side.unflatten(1, (9, -1)) for side in wide())
    starts[..., 1:] = 0
    inside = batch().in_context
    columns = torch.arange(9)
    later = inside.unsqueeze(1) & (columns >= columns.unsqueeze(1))
    known = ends[..., 0].unsqueeze(1).masked_fill(~later, -torch.inf).logsumexp(dim=2)
    known[:, 0] = ends[:, 0, 0]
    wanted = joint_span_loss(starts[..., 0], ends[..., 0], batch())
    starts[..., 0] += known.masked_fill(known == -torch.inf, 0.0)
    found = choose_loss(RecipeConfig(), "conditional")(starts.flatten(1), ends.flatten(1), batch())
    torch.testing.assert_close(found, wanted)


# --- teachers ---


def taught(width=9):
    """What a teacher says of context and null position."""
    random = torch.Generator().manual_seed(5)
    counted = batch(width).in_context.clone()
    counted[:, 0] = True
    wanted = []
    for _ in range(2):
        values = torch.zeros(2, width)
        for row in range(2):
            here = counted[row]
            values[row, here] = torch.randn(int(here.sum()), generator=random).softmax(0)
        wanted.append(values)
    wanted[0][0, 4] = 0.0  # a token that no teacher's token begins in
    wanted[0][0] /= wanted[0][0].sum()
    return replace(batch(width), teacher_start=wanted[0], teacher_end=wanted[1])


def plain_teacher_loss(temperature):
    known, loss = taught(), 0.0
    for wanted, values in zip((known.teacher_start, known.teacher_end), logits(), strict=True):
        for row, (begin, stop) in enumerate(CONTEXTS):
            columns = [0, *range(begin, stop)]
            powers = {at: math.exp(float(values[row, at]) / temperature) for at in columns}
            for at in columns:
                share = float(wanted[row, at])
                if share > 0:
                    loss += share * (math.log(share) - math.log(powers[at] / sum(powers.values())))
    return loss * temperature**2 / 2


@pytest.mark.parametrize("objective", ["independent", "joint"])
@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 2.0), (0.3, 1.0), (0.3, 3.0), (1.0, 2.0)])
def test_what_teachers_say_is_weighed_against_the_labels(weight, temperature, objective):
    recipe = RecipeConfig(objective=objective, teacher=("one",), teacher_weight=weight, temperature=temperature)
    gold = plain_independent() if objective == "independent" else plain_joint()
    wanted = (1 - weight) * gold + weight * plain_teacher_loss(temperature)
    for width in (9, 16):
        start, end = (side.clone().requires_grad_() for side in logits(width))
        loss = choose_loss(recipe)(start, end, taught(width))
        assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
        loss.backward()
        assert start.grad.isfinite().all()
        assert (start.grad[:, 9:] == 0).all()


def test_a_model_that_says_what_its_teachers_say_has_no_loss_from_them():
    known = taught()
    start, end = ((side.clamp(min=1e-30).log() * 2) for side in (known.teacher_start, known.teacher_end))
    assert float(teacher_loss(start, end, known, temperature=2.0)) == pytest.approx(0.0, abs=1e-5)
