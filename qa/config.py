"""What a run is: frozen dataclasses, validated where they are made."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import TypeAdapter

from qa.checks import NamedSource, Settings, named_sources, number_of, require, weighted_sources
from qa.recipe import RecipeConfig as RecipeConfig  # noqa: PLC0414  # all settings can be imported from here

OnBadExample = Literal["error", "skip", "repair"]
Search = Literal["exact", "hf_parity"]
Choice = Literal["likeliest", "overlap"]
Schedule = Literal["linear", "cosine", "polynomial", "inverse_sqrt", "constant"]
Head = Literal["spans", "conditional", "tokens"]
Answers = Literal["any", "all"]
Backend = Literal["torch", "onnx", "onnx_int8"]
"""What runs a model: PyTorch, or onnxruntime with float32 or 8-bit weights."""
_V2Score = Literal[
    "exact", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1", "best_exact", "best_f1", "fitted_f1"
]
ComparedScore = Literal["exact_match", "f1", _V2Score, "exact_f1", "overlap_f1", "fitted_overlap_f1"]
"""The scores of metrics.json of which more is better."""
ACCUMULATION = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"
"""The environment variable in which launchers leave the forward passes per optimizer step."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Settings):
    """Where in a data source the examples are, and what to do with bad ones."""

    name: str | None = None
    """Configuration of a hub data set that has several."""
    revision: str | None = None
    """Branch, tag or commit of a hub data set."""
    train_split: str = "train"
    """Split to train on, where the source has splits."""
    validation_split: str = "validation"
    """Split to evaluate on, where the source has splits."""
    on_bad_example: OnBadExample = "error"
    """Stop at a bad example, skip it, or repair it: find its answers' places, make its id unique and the like."""
    allow_impossible: bool = True
    """Keep examples without an answer for training."""
    answers: Answers = "any"
    """Of several answers to a question any is right (as in SQuAD), or all are wanted (as in MultiSpanQA)."""


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(Settings):
    """How an example is cut into windows of tokens."""

    max_length: int = 384
    """Longest window, in tokens: question, context and special tokens together."""
    doc_stride: int = 128
    """Tokens that neighbouring windows share (the overlap, not the step)."""
    max_question_length: int = 64
    """Tokens of a question that are kept."""
    all_references: bool = False
    """Train on all references that a window holds, any of which is right, and not on the first of them alone."""
    least_round_trip: float = 95.0
    """Labels, in percent, that must translate back to exactly their reference; with fewer, training stops."""
    cache_dir: Path | None = None
    """Folder for features, and for large data as it was read; none: the data sets library's cache folder."""

    def __post_init__(self) -> None:
        self._expand_home("cache_dir")
        self._require_least("features.", max_length=8, doc_stride=0, max_question_length=1)
        require(0 <= self.least_round_trip <= 100, "features.least_round_trip", self.least_round_trip, "0 to 100")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Settings):
    """How the model is trained; everything that is counted is counted in optimizer steps."""

    epochs: float = 2.0
    """Passes over the training features; a fraction stops inside one."""
    max_steps: int | None = None
    """Optimizer steps in all, in place of epochs; 0 evaluates only."""
    learning_rate: float = 3e-5
    """Peak learning rate."""
    schedule: Schedule = "linear"
    """Learning rate after the warm-up: to zero in a line, half a cosine or a power of a line; by 1/√step; constant."""
    schedule_power: float = 2.0
    """Power of the polynomial schedule."""
    extend: Literal["stretch", "restart"] | None = None
    """Resume with another number of steps though the learning rate then changes: follow the schedule as if all steps
    had been planned from the start (stretch), or begin it again, warm-up included, for the added steps (restart)."""
    warmup_ratio: float = 0.1
    """Share of all steps in which the learning rate rises from zero."""
    warmup_steps: int | None = None
    """The same in optimizer steps, in place of the share."""
    batch_size: int = 16
    """Features per device and forward pass."""
    accumulation_steps: int = 1
    """Forward passes per optimizer step."""
    auto_batch_size: bool = False
    """Out of memory, halve the batches and double the passes of a step, whose features stay the same."""
    weight_decay: float = 0.01
    """Decoupled weight decay; not applied to biases and normalisation layers."""
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's running means of the gradient and of its square."""
    adam_epsilon: float = 1e-8
    """Term that keeps AdamW's denominator from zero."""
    max_gradient_norm: float | None = 1.0
    """Largest norm of the gradient of all parameters together; none: no clipping."""
    evaluate_every: int | None = None
    """Optimizer steps between evaluations; none: after every epoch; 0: only at the end."""
    save_every: int | None = None
    """Optimizer steps between checkpoints; none: after every epoch; 0: only at the end."""
    save_minutes: float | None = None
    """Minutes after which a checkpoint is saved besides; none: only by steps."""
    max_minutes: float | None = None
    """Minutes from the start after which the run saves a checkpoint and ends, to be resumed; none: no limit."""
    log_every: int = 10
    """Optimizer steps between logged points."""
    keep_last: int = 2
    """Newest checkpoints that are kept; the best model is in the run folder's model/."""
    keep_best: int = 1
    """Best models that are kept: the best in the run folder's model/, with more than one all of them in models/."""
    best_metric: str | None = None
    """Score of metrics.json that selects the best model (of a further set own/f1); none: its main one, such as f1."""
    patience: int | None = None
    """Evaluations without a better score after which training stops; none: never."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    compile: bool = False
    """Compile the encoder with torch.compile; lengths are then padded to multiples of 64."""
    compile_mode: Literal["default", "reduce-overhead"] = "default"
    """Of torch.compile: reduce-overhead replays CUDA graphs, on one GPU, so that small models do not wait."""
    packed_length: int | None = None
    """Pack features end to end into rows of so many tokens, best a multiple of 8, where they see only themselves: few
    shapes, for compile on a GPU; slower on a CPU; none: one feature a row, beside others of its length."""
    attention: str = "auto"
    """How attention is computed: sdpa, eager, flash_attention_2 or another name that transformers knows, or
    disentangled-flash for DeBERTa v2 and v3; auto: as the model's class prefers, on a CPU by kernels of this
    package."""
    tf32: bool | None = None
    """Shorten factors of float32 products to TF32, which multiplies their rate; none: on a GPU that has it."""
    fused: bool | None = None
    """Use the optimizer's fused kernel; none: where the device has one."""
    profile: bool = False
    """Record a few steps after the first ones in trace.json of the run folder, which ui.perfetto.dev opens."""

    def __post_init__(self) -> None:
        metric = None if self.best_metric is None else self.best_metric.rpartition("/")[2]
        known = get_args(ComparedScore)
        require(metric is None or metric in known, "training.best_metric", self.best_metric, ", ".join(known))
        self._require_positive("training.", "epochs", "learning_rate", "adam_epsilon", "max_gradient_norm")
        self._require_positive("training.", "save_minutes", "max_minutes", "schedule_power")
        self._require_least("training.", max_steps=0, batch_size=1, accumulation_steps=1, weight_decay=0)
        self._require_least("training.", warmup_steps=0, evaluate_every=0, save_every=0, log_every=1)
        self._require_least("training.", keep_last=1, keep_best=1, patience=1)
        require(0 <= self.warmup_ratio <= 1, "training.warmup_ratio", self.warmup_ratio, "0 to 1")
        replays = self.compile and self.accumulation_steps == 1 and not self.auto_batch_size  # else batches add up
        wanted = "default, unless compile is on, accumulation-steps is 1 and auto-batch-size is off"
        require(replays or self.compile_mode == "default", "training.compile_mode", self.compile_mode, wanted)
        require(all(0 <= beta < 1 for beta in self.adam_betas), "training.adam_betas", self.adam_betas, "0 to below 1")


LARGEST_COST = 100.0
"""Of a token, in log odds; with as much, answers are all as short, or as long, as they may be."""


@dataclass(frozen=True, kw_only=True)
class DecodingConfig(Settings):
    """How logits become answers."""

    n_best: int = 20
    """Candidates kept per feature, and answers per example in the n-best file."""
    max_answer_tokens: int = 30
    """Longest answer, in tokens."""
    search: Search = "exact"
    """The best valid spans exactly, or the 20 × 20 lists of the well-known script."""
    length_cost: float | None = None
    """What an answer's score loses for every token after its first, in log odds; none: in training 0, where a model is
    only evaluated its own."""
    choice: Choice | None = None
    """Which of the n best is the answer: the likeliest, best for exact match; or the one that overlaps most with all of
    them, in characters, each weighed by its likelihood: best for F1, with a length cost around 0.1. Searches, evidence
    and lists of all answers go by likelihood. None: in training likeliest, where a model is only evaluated its own."""
    no_answer: bool | None = None
    """Whether "no answer" is possible; none: as the reader was trained."""
    no_answer_threshold: float | None = None
    """Null score minus best span score above which the answer is "no answer"; none: the model's own, or 0."""
    batch_size: int | None = None
    """Most features per device and forward pass in evaluation; none: only the tokens count."""
    batch_tokens: int | None = None
    """Most tokens of the same, unless a feature has more; none: 32,768 on a GPU, on a CPU what its caches hold."""
    language: str = "en"
    """Language whose articles and word borders the scores follow (ISO 639-1 code); en is the official one."""

    def __post_init__(self) -> None:
        self._require_least("decoding.", n_best=1, max_answer_tokens=1, batch_size=1, batch_tokens=1)
        threshold, cost = self.no_answer_threshold, self.length_cost or 0.0
        require(threshold is None or math.isfinite(threshold), "decoding.no_answer_threshold", threshold, "a number")
        require(abs(cost) <= LARGEST_COST, "decoding.length_cost", cost, f"{-LARGEST_COST:g} to {LARGEST_COST:g}")
        require(self.n_best > 1 or self.choice != "overlap", "decoding.n_best", self.n_best, "2 or more to choose from")

    def require_choice(self, head: Head, answers: Answers) -> None:
        """Check that length costs something, and overlap decides, only where there is such a thing.

        Raises:
            ConfigError: it is not an exact search for spans; or overlap is to decide on several answers.

        """
        exact, by_overlap = self.search == "exact" and head != "tokens", self.choice == "overlap"
        where = f"with the search {self.search}, the head {head}, answers {answers}"
        require(exact or not self.length_cost, "decoding.length_cost", self.length_cost, f"0 {where}")
        require(not by_overlap or (exact and answers == "any"), "decoding.choice", self.choice, f"likeliest {where}")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Settings):
    """Where the run is recorded, besides its folder."""

    report_to: tuple[Literal["wandb", "tensorboard", "trackio", "mlflow", "codecarbon", "none"], ...] = ("wandb",)
    """Trackers: wandb, tensorboard, trackio, mlflow, codecarbon (energy, for the card), several of them, or none."""
    project: str | None = None
    """Project of the tracker; none: WANDB_PROJECT for W&B, else extractive-qa."""
    run_name: str | None = None
    """Name of the run at the tracker; none: WANDB_NAME for W&B, else the output folder's name."""
    table_rows: int = 200
    """Predictions shown in the tracker's table."""
    log_model: bool = False
    """Send the best model at the end to W&B, as an artifact with the fingerprint of its data, or to MLflow."""
    registry: str | None = None
    """Registry collection at W&B that this model is linked to: wandb-registry-model/NAME."""

    def __post_init__(self) -> None:
        require(self.trackers in {(), self.report_to}, "tracking.report_to", self.report_to, "none alone")
        self._require_least("tracking.", table_rows=0)
        require(self.log_model or self.registry is None, "tracking.registry", self.registry, "none without log-model")

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers to report to, without the word for an empty list."""
        return tuple(name for name in self.report_to if name != "none")


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """Fine-tune and evaluate an extractive question-answering reader."""

    model: str = "minilm"
    """Hub id, folder of a saved model, or minilm or multilingual, which packages carry."""
    model_revision: str | None = None
    """Branch, tag or commit of a hub model."""
    train_data: str = "sample"
    """Hub id, file, folder, or sample, the embedded set (sample:ar, sample:zh; sample:lists has several answers)."""
    train_weight: float = 1.0
    """How often that data counts: 3 trains on every example three times an epoch, 0.5 on every other one."""
    more_train_data: tuple[str, ...] = ()
    """Further data to train on, such as a large set beside your own: sources with a weight after *, as in squad*0.1."""
    head: Head = "spans"
    """Learn the span that answers, its end also given its start (conditional), or of each token whether an answer, of
    any number, begins or ends with it (tokens)."""
    validation_data: str | None = "auto"
    """Source as above; auto: the training data's validation split; 0.1: a tenth of its contexts, held out; or none."""
    more_validation_data: tuple[str, ...] = ()
    """Further sets to be scored in every evaluation, as name=source; their scores are called name/f1 and so on. One in
    another language than decoding.language says so: name:zh=source."""
    output_dir: Path = Path("runs/qa")
    """Run folder; must be empty or missing unless the run is resumed."""
    seed: int = 42
    """Seed of the head's weights, the order of features and dropout."""
    resume: str | None = None
    """Continue from a checkpoint: auto (also when no value follows) for the newest of the run folder, or its path."""
    max_train_examples: int | None = None
    """Examples to train on, spread evenly over the set."""
    max_validation_examples: int | None = None
    """Examples to evaluate on, spread evenly over the set."""
    threads: int | None = None
    """Threads of each process on a CPU; none: OMP_NUM_THREADS, or the machine's cores shared by its processes."""
    timeout_minutes: float = 10.0
    """Minutes that a process waits for the others in one exchange; what one does alone may take longer."""
    push_to_hub: str | None = None
    """Hub id that the trained model is uploaded to, with its card; none: it stays in the run folder."""
    data: DataConfig = DataConfig()
    features: FeaturesConfig = FeaturesConfig()
    training: TrainingConfig = TrainingConfig()
    recipe: RecipeConfig = RecipeConfig()  # noqa: RUF009  # frozen, as the others
    decoding: DecodingConfig = DecodingConfig()
    tracking: TrackingConfig = TrackingConfig()

    def __post_init__(self) -> None:
        self._expand_home("model", "output_dir", "resume")
        if self.validation_data is not None and self.validation_data.lower() == "none":
            object.__setattr__(self, "validation_data", None)
        share = self.validation_share
        require(share is None or 0 < share < 1, "validation-data", self.validation_data, "a source, or a share below 1")
        self._require_positive("", "train_weight")
        self.further_train_data()
        further = self.further_validation_data()
        require(not further or self.validation_data is not None, "validation-data", None, "data besides further sets")
        chosen = (self.training.best_metric or "").rpartition("/")[0]
        require(not chosen or chosen in further, "training.best_metric", chosen, f"one of the sets {[*further]}")
        recipe, search = self.recipe, self.decoding.search
        other = {recipe.objective, recipe.label_smoothing, recipe.teacher, search} - {"independent", 0, (), "exact"}
        wanted = "spans with an objective, smoothing, a teacher or search"
        require(not other or self.head == "spans", "head", self.head, wanted)
        self.decoding.require_choice(self.head, self.data.answers)
        packed, longest = self.training.packed_length, self.features.max_length
        require(packed is None or packed >= longest, "training.packed_length", packed, f"at least {longest}, a window")
        self._require_least("", max_train_examples=1, max_validation_examples=1, threads=1, seed=0)
        self._require_positive("", "timeout_minutes")
        if self.training.max_steps == 0:
            require(self.push_to_hub is None, "push_to_hub", self.push_to_hub, "training, whose model can be pushed")
        if self.validation_data is None:
            require(self.training.max_steps != 0, "validation-data", None, "data to evaluate on")
            for name, idle in (("patience", None), ("best_metric", None), ("keep_best", 1)):
                judged = f"data that training.{name.replace('_', '-')} can judge"
                require(getattr(self.training, name) == idle, "validation-data", None, judged)

    def further_train_data(self) -> list[tuple[str, float]]:
        """Return the sources of further training data with their weights; see `weighted_sources`."""
        return weighted_sources("more_train_data", self.more_train_data)

    def further_validation_data(self) -> dict[str, NamedSource]:
        """Return the sources of further validation data by the names of the sets; see `named_sources`."""
        return named_sources("more_validation_data", self.more_validation_data)

    @property
    def validation_share(self) -> float | None:
        """The share of the training contexts that is held out for validation; None: validation data is another."""
        return number_of(self.validation_data or "")

    @property
    def validation_source(self) -> str | None:
        """Where the validation examples are: the training data, if they are a split or share of it; None: nowhere."""
        own = self.validation_data == "auto" or self.validation_share is not None
        return self.train_data if own else self.validation_data

    @property
    def run_name(self) -> str:
        """Name of the run at its trackers."""
        return self.tracking.run_name or self.output_dir.name


def config_values(config: RunConfig) -> dict[str, Any]:
    """Return the nested plain values of `config`, as JSON has them."""
    return cast("dict[str, Any]", TypeAdapter(RunConfig).dump_python(config, mode="json"))
