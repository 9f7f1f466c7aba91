"""Settings of a recipe that no run could follow are refused where they are made."""

import pytest

from qa.errors import ConfigError
from qa.recipe import RecipeConfig


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"dropout": 1.0}, "recipe.dropout is 1.0; wanted 0 to below 1"),
        ({"lora_dropout": -0.1}, "recipe.lora-dropout is -0.1"),
        ({"unlabelled_windows": 1.1}, "recipe.unlabelled-windows is 1.1; wanted 0 to 1"),
        ({"teacher_weight": 1.5}, "recipe.teacher-weight is 1.5; wanted 0 to 1"),
        ({"teacher_weight": float("nan")}, "recipe.teacher-weight is nan"),
        ({"temperature": 0.0}, "recipe.temperature is 0.0; wanted more than 0"),
        ({"temperature": float("inf")}, "recipe.temperature is inf"),
        ({"layer_decay": 0.0}, "recipe.layer-decay is 0.0"),
        ({"lora_rank": -1}, "recipe.lora-rank is -1; wanted 0 or more"),
        ({"lora_alpha": 0.0}, "recipe.lora-alpha is 0.0"),
        ({"lora_rank": 4, "frozen_layers": 1}, "recipe.lora-rank is 4; wanted 0 with frozen layers"),
        ({"lora_rank": 4, "freeze_embeddings": True}, "recipe.lora-rank is 4; wanted 0 with frozen layers"),
        ({"objective": "joint", "label_smoothing": 0.1}, "recipe.label-smoothing is 0.1; wanted 0 if joint"),
    ],
)
def test_what_cannot_be_is_named(wrong, named):
    with pytest.raises(ConfigError) as error:
        RecipeConfig(**wrong)
    assert named in str(error.value)


def test_what_is_not_said_changes_nothing():
    recipe = RecipeConfig()
    assert not recipe.teacher
    assert recipe.lora_rank == 0
    assert recipe.objective == "independent"
