"""Configuration → what a run works on: the evaluator and the trainer."""

from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedDataParallelKwargs, DistributedType
from torch import nn
from transformers import PreTrainedModel

from qa.batching import padding_multiple
from qa.config import RunConfig, TrainingConfig, config_values, flat_values
from qa.data import Examples, load_validation_examples
from qa.evaluation import Evaluator
from qa.feature_store import cached_features
from qa.flops import TrainingFlops
from qa.model import Reader, has_unused_parameters, layer_names, prepare_for_training
from qa.optimization import build_optimizer
from qa.progress import Progress
from qa.runtime import require_same
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
    multiple = padding_multiple(compiled=config.training.compile)
    return Evaluator.for_reader(accelerator, reader, examples, features, config.decoding, pad_multiple=multiple)


def prepare_model(
    accelerator: Accelerator, model: PreTrainedModel, config: TrainingConfig
) -> tuple[nn.Module, AcceleratedOptimizer]:
    """Let accelerate prepare a model and its optimizer, which FSDP and DeepSpeed take only together. Collective."""
    if accelerator.distributed_type == DistributedType.FSDP:
        plugin = accelerator.state.fsdp_plugin  # the library's own list has embeddings, which accelerate shards again
        plugin.transformer_cls_names_to_wrap = plugin.transformer_cls_names_to_wrap or layer_names(model)
    elif accelerator.distributed_type == DistributedType.DEEPSPEED:
        settings = accelerator.state.deepspeed_plugin.deepspeed_config
        settings["train_micro_batch_size_per_gpu"] = config.batch_size  # it would ask a data loader, and gets none
        settings["gradient_clipping"] = config.max_gradient_norm or 0.0
    elif accelerator.num_processes > 1 and has_unused_parameters(model):
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    prepared: tuple[nn.Module, AcceleratedOptimizer] = accelerator.prepare(
        model, build_optimizer(model, config, accelerator.device)
    )
    return prepared


def prepare_training(accelerator: Accelerator, reader: Reader, examples: Examples, config: RunConfig) -> Trainer:
    """Build features and optimizer, and let accelerate prepare what is trained. Collective."""
    require_same(accelerator, {"fingerprint of the train data": examples.fingerprint})
    features = cached_features(examples.rows, reader.tokenizer, config.features, fingerprint=examples.fingerprint)
    plan = plan_training(len(features), accelerator, config.training)
    prepare_for_training(reader.model, config.training, accelerator.device)
    model, optimizer = prepare_model(accelerator, reader.model, config.training)
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
