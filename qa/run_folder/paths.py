"""The name of every file in a run folder."""

from dataclasses import dataclass
from pathlib import Path

from qa.runtime.energy import ENERGY_FILE


@dataclass(frozen=True)
class RunPaths:
    """Where the files of a run are."""

    root: Path

    @property
    def config(self) -> Path:
        """Every setting."""
        return self.root / "config.json"

    @property
    def environment(self) -> Path:
        """Versions, hardware, command line, commit."""
        return self.root / "environment.json"

    @property
    def data_problems(self) -> Path:
        """Rows that broke a rule, as JSON Lines."""
        return self.root / "data_problems.jsonl"

    @property
    def metrics(self) -> Path:
        """Scores of the best evaluation."""
        return self.root / "metrics.json"

    @property
    def predictions(self) -> Path:
        """Answers of the best evaluation by example id."""
        return self.root / "predictions.json"

    @property
    def n_best(self) -> Path:
        """Candidates of the best evaluation by example id."""
        return self.root / "nbest_predictions.json"

    @property
    def all_answers(self) -> Path:
        """All answers of the best evaluation by example id, where all were to be found."""
        return self.root / "all_answers.json"

    @property
    def null_odds(self) -> Path:
        """Null odds of the best evaluation by example id."""
        return self.root / "null_odds.json"

    @property
    def history(self) -> Path:
        """Logged intervals and evaluations, as JSON Lines."""
        return self.root / "history.jsonl"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.root / "log.txt"

    @property
    def attempts(self) -> Path:
        """When, where and from which step the run was started or resumed, and what had changed, as JSON Lines."""
        return self.root / "attempts.jsonl"

    @property
    def energy(self) -> Path:
        """What all attempts used, as JSON Lines, where that was counted."""
        return self.root / ENERGY_FILE

    @property
    def trace(self) -> Path:
        """Profile of a few steps."""
        return self.root / "trace.json"

    @property
    def model(self) -> Path:
        """Folder of the best model."""
        return self.root / "model"

    @property
    def models(self) -> Path:
        """Folder of the best models, where more than one is kept."""
        return self.root / "models"

    def model_of(self, step: int) -> Path:
        """Folder of one of them."""
        return self.models / step_name(step)

    @property
    def model_card(self) -> Path:
        """The card of that model."""
        return self.model / "README.md"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.root / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """Folder of the checkpoint of a step; their names sort by step."""
        return self.checkpoints / step_name(step)


def step_name(step: int) -> str:
    """Return a name that sorts by step."""
    return f"step-{step:08d}"


CHECKPOINT_NAMES = "step-*"
"""Names of checkpoint folders, as a pattern; what writing one leaves behind has a dot before it."""
