"""Configuration → what a run works on: the evaluator and the trainer."""

from accelerate import Accelerator

from qa.config import RunConfig, config_values
from qa.data import Examples, load_validation_examples
from qa.evaluation import Evaluator
from qa.feature_store import cached_features
from qa.flops import TrainingFlops
from qa.model import Reader, prepare_for_training
from qa.optimization import build_optimizer
from qa.progress import Progress
from qa.runtime import require_same
from qa.trackers import flat_values
from qa.training import Trainer, plan_training

_OF_ONE_MACHINE = ("output_dir", "features/cache_dir", "resume")  # paths, which need not be the same on all machines


def require_same_settings(accelerator: Accelerator, config: RunConfig) -> None:
    """Check that all processes were given the same configuration. Collective.

    Raises:
        LaunchError: naming what differs.

    """
    values = flat_values(config_values(config))
    require_same(accelerator, {name: value for name, value in values.items() if name not in _OF_ONE_MACHINE})


def prepare_evaluation(accelerator: Accelerator, reader: Reader, config: RunConfig) -> Evaluator | None:
    """Load the validation examples, the same on all processes, and their features. Collective."""
    examples = load_validation_examples(config)
    found = examples.fingerprint if examples is not None else None
    require_same(accelerator, {"fingerprint of the validation data": found})
    if examples is None:
        return None
    features = cached_features(examples.rows, reader.tokenizer, config.features, fingerprint=examples.fingerprint)
    return Evaluator.for_reader(accelerator, reader, examples, features, config.decoding)


def prepare_training(accelerator: Accelerator, reader: Reader, examples: Examples, config: RunConfig) -> Trainer:
    """Build features and optimizer, and let accelerate prepare what is trained. Collective."""
    require_same(accelerator, {"fingerprint of the train data": examples.fingerprint})
    features = cached_features(examples.rows, reader.tokenizer, config.features, fingerprint=examples.fingerprint)
    plan = plan_training(len(features), accelerator, config.training)
    prepare_for_training(reader.model, config.training)
    optimizer = build_optimizer(reader.model, config.training, accelerator.device)
    model, optimizer = accelerator.prepare(reader.model, optimizer)
    return Trainer(
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        features=features,
        ids=examples.rows["id"][:],
        input_names=reader.input_names,
        config=config.training,
        plan=plan,
        seed=config.seed,
        progress=Progress(),
        flops=TrainingFlops.of(reader.model),
    )
