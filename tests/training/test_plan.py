"""How many steps there are, and after which a run evaluates and saves."""

import pytest

from qa.errors import ConfigError
from qa.features.order import BatchSplit
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.trainers import WINDOWS, loop_for, plan_for, reader_of


def test_features_fewer_than_forward_passes_are_refused():
    with pytest.raises(ConfigError, match="10 training features"):
        loop_for(accumulation_steps=11, batch_size=1)


@pytest.mark.parametrize(
    ("every", "due"), [(None, [5, 10]), (0, []), (1, list(range(1, 11))), (4, [4, 8]), (5, [5, 10]), (11, [])]
)
def test_cadence_counts_steps_or_epochs(every, due):
    rows = tiny.small(10)
    reader = reader_of(tiny.model())
    features = build_features(rows, reader.tokenizer, WINDOWS)
    plan = plan_for(rows, features, reader, evaluates=True, evaluate_every=every, save_every=every, epochs=3.0)
    assert plan.steps_per_epoch == 5
    assert [step for step in range(1, 11) if plan.evaluation_is_due(step)] == due
    assert [step for step in range(1, 11) if plan.save_is_due(step)] == due
    assert plan.evaluation_is_due(plan.total_steps)


def test_plan_counts_all_processes():
    rows = tiny.small(100)
    reader = reader_of(tiny.model())
    features = build_features(rows, reader.tokenizer, WINDOWS)
    plan = plan_for(rows, features, reader, batch_size=8, accumulation_steps=2, epochs=1.5)
    assert len(features) == 100
    assert plan.split == BatchSplit(process=0, processes=1, accumulation_steps=2, batch_size=8)
    assert (plan.steps_per_epoch, plan.total_steps) == (7, 11)
