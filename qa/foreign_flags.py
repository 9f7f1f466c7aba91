"""The flags of run_qa.py and run_qa_no_trainer.py -> what does the same here."""

from collections.abc import Sequence

from qa.errors import ConfigError

_LAUNCHER = "accelerate launch --mixed_precision"
_BY_DATA = "nothing: examples without an answer in the data say it"
_BY_STEPS = "--training.max-steps 0 to evaluate only; nothing to train"
HINTS = {
    "adam_beta1": "--training.adam-betas B1 B2",
    "adam_beta2": "--training.adam-betas B1 B2",
    "adam_epsilon": "--training.adam-epsilon",
    "bf16": f"{_LAUNCHER} bf16",
    "cache_dir": "--features.cache-dir; HF_HOME for what comes from the hub",
    "checkpointing_steps": "--training.save-every",
    "config_name": "--model, whose configuration it is",
    "dataset_config_name": "--data.name",
    "dataset_name": "--train-data, and --validation-data for another one",
    "do_eval": _BY_STEPS,
    "do_predict": _BY_STEPS,
    "do_train": _BY_STEPS,
    "doc_stride": "--features.doc-stride",
    "eval_steps": "--training.evaluate-every",
    "eval_strategy": "--training.evaluate-every",
    "evaluation_strategy": "--training.evaluate-every",
    "fp16": f"{_LAUNCHER} fp16",
    "gradient_accumulation_steps": "--training.accumulation-steps",
    "gradient_checkpointing": "--training.gradient-checkpointing",
    "hub_model_id": "--push-to-hub ID",
    "learning_rate": "--training.learning-rate",
    "load_best_model_at_end": "nothing: model/ in the run folder is the best one",
    "logging_steps": "--training.log-every",
    "lr_scheduler_type": "--training.schedule",
    "max_answer_length": "--decoding.max-answer-tokens",
    "max_eval_samples": "--max-validation-examples, which counts examples, not windows",
    "max_grad_norm": "--training.max-gradient-norm",
    "max_predict_samples": "--max-validation-examples, which counts examples, not windows",
    "max_seq_length": "--features.max-length",
    "max_steps": "--training.max-steps",
    "max_train_samples": "--max-train-examples, which counts examples, not windows",
    "max_train_steps": "--training.max-steps",
    "metric_for_best_model": "--training.best-metric",
    "model_name_or_path": "--model",
    "n_best_size": "--decoding.n-best",
    "null_score_diff_threshold": "--decoding.no-answer-threshold",
    "num_train_epochs": "--training.epochs",
    "num_warmup_steps": "--training.warmup-steps",
    "overwrite_cache": "nothing: features are found by the content of their data",
    "overwrite_output_dir": "another --output-dir, or --resume",
    "pad_to_max_length": "nothing: batches are padded to their own longest window",
    "per_device_eval_batch_size": "--decoding.batch-size",
    "per_device_train_batch_size": "--training.batch-size",
    "per_gpu_eval_batch_size": "--decoding.batch-size",
    "per_gpu_train_batch_size": "--training.batch-size",
    "preprocessing_num_workers": "nothing: tokenizers use all cores",
    "report_to": "--tracking.report-to",
    "resume_from_checkpoint": "--resume",
    "run_name": "--tracking.run-name",
    "save_steps": "--training.save-every",
    "save_strategy": "--training.save-every",
    "save_total_limit": "--training.keep-last",
    "test_file": "--validation-data, with --training.max-steps 0",
    "tokenizer_name": "--model, whose tokenizer it is",
    "train_file": "--train-data",
    "validation_file": "--validation-data",
    "version_2_with_negative": _BY_DATA,
    "warmup_ratio": "--training.warmup-ratio",
    "warmup_steps": "--training.warmup-steps",
    "weight_decay": "--training.weight-decay",
    "with_tracking": "--tracking.report-to",
}
"""What to say here, by the name of the other program's flag."""


def require_own_flags(flags: Sequence[str]) -> None:
    """Let no flag of run_qa's pass.

    Raises:
        ConfigError: naming, for each of them, what does the same here.

    """
    names = {flag: flag.partition("=")[0].removeprefix("--").replace("-", "_") for flag in flags if flag[:2] == "--"}
    found = {flag.partition("=")[0]: HINTS[name] for flag, name in names.items() if name in HINTS}
    if found:
        told = "".join(f"\n  {flag}: {hint}" for flag, hint in found.items())
        raise ConfigError(f"flags of run_qa, which are called otherwise here:{told}")
