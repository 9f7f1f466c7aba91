"""What may make a better model of the same examples and steps: a part of the configuration."""

from dataclasses import dataclass
from typing import Literal

from qa.checks import Settings, require


@dataclass(frozen=True, kw_only=True)
class RecipeConfig(Settings):
    """What may make a better model of the same examples and steps."""

    dropout: float | None = None
    """Probability to drop hidden states in training; none: the model's own."""
    attention_dropout: float | None = None
    """Probability to drop attention weights in training; none: the model's own."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer to the one below it; the head has the whole rate."""
    frozen_layers: int = 0
    """Lowest layers that are not trained; with any, neither are the embeddings."""
    freeze_embeddings: bool = False
    """Leave the embeddings as they are."""
    objective: Literal["independent", "joint"] = "independent"
    """Start and end each for themselves, or the span among all spans that do not end before they start."""
    label_smoothing: float = 0.0
    """Share of a label that is spread evenly over the tokens of its window."""
    averaging: Literal["none", "ema", "tail"] = "none"
    """Evaluate and save the average of the weights: one that forgets, or of the last part of all steps."""
    averaging_decay: float = 0.99
    """Share of the average that forgets which each step keeps."""
    averaging_share: float = 0.2
    """Last share of all steps that the other average is over."""
    short_windows: float = 0.0
    """First share of all steps that are trained on short windows, cut round the reference at a random place."""
    short_length: int = 128
    """Longest of these windows, in tokens."""
    unlabelled_windows: float = 1.0
    """Share of the windows without their example's reference that is trained on."""
    teacher: tuple[str, ...] = ()
    """Trained readers to learn from beside the labels, as --model names one; of several the mean probability."""
    teacher_weight: float = 0.5
    """Share of the loss that is the divergence from the teachers' probabilities; the rest is that on the labels."""
    temperature: float = 2.0
    """What logits of teachers and model are divided by for that."""
    lora_rank: int = 0
    """Rank of the matrices that are trained in place of the weights they are added to (LoRA); 0: train the weights."""
    lora_alpha: float = 16.0
    """Over the rank, what their product is multiplied by."""
    lora_dropout: float = 0.0
    """Probability to drop what goes into them in training."""
    lora_targets: tuple[str, ...] = ()
    """Last names of the linear layers that have them, such as query and value; none: all of the encoder."""

    def __post_init__(self) -> None:
        for name in ("dropout", "attention_dropout", "label_smoothing", "averaging_decay", "lora_dropout"):
            value = getattr(self, name)
            require(value is None or 0 <= value < 1, f"recipe.{name}", value, "0 to below 1")
        for name in ("averaging_share", "short_windows", "unlabelled_windows", "teacher_weight"):
            require(0 <= getattr(self, name) <= 1, f"recipe.{name}", getattr(self, name), "0 to 1")
        require(0 < self.layer_decay <= 1, "recipe.layer_decay", self.layer_decay, "more than 0, at most 1")
        self._require_least("recipe.", frozen_layers=0, short_length=8, lora_rank=0)
        self._require_positive("recipe.", "temperature", "lora_alpha")
        joint = self.objective == "joint"
        require(not (joint and self.label_smoothing), "recipe.label_smoothing", self.label_smoothing, "0 if joint")
        frozen = bool(self.frozen_layers or self.freeze_embeddings)
        require(
            not (self.lora_rank and frozen), "recipe.lora_rank", self.lora_rank, "0 with frozen layers or embeddings"
        )
