"""What validation sets can judge is told at the start."""

import pytest

from qa.config import RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.errors import ConfigError
from qa.evaluation.judging import languages_of, require_best_metric
from tests.support import tiny

JUDGED = Examples(rows=tiny.small(3))
UNJUDGED = Examples(rows=tiny.small(3).remove_columns("answers"))


def test_further_sets_have_their_own_language_or_the_run_s():
    assert languages_of(RunConfig(more_validation_data=("own=a", "other:pt-BR=b"))) == {"own": "en", "other": "pt-BR"}


def test_a_further_set_in_no_language_is_refused_at_the_start():
    with pytest.raises(ConfigError, match="language is 'chinese'; wanted an ISO 639 code"):
        languages_of(RunConfig(more_validation_data=("own:chinese=a",)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"patience": 2}, "training.patience is 2; wanted validation data with references"),
        ({"keep_best": 3}, "training.keep-best is 3; wanted validation data with references"),
        ({"best_metric": "f1"}, "training.best-metric is 'f1'; wanted validation data with references"),
    ],
)
def test_what_only_scores_decide_is_refused_where_nothing_is_scored(asked, said):
    config = RunConfig(training=TrainingConfig(**asked))
    with pytest.raises(ConfigError, match=said):
        require_best_metric(config, {"": UNJUDGED})
    require_best_metric(config, {"": JUDGED})


@pytest.mark.parametrize("steps", [None, 0])
def test_a_run_without_scores_may_ask_for_nothing_that_needs_them(steps):
    require_best_metric(RunConfig(training=TrainingConfig(max_steps=steps)), {"": UNJUDGED})
