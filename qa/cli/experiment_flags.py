"""What the commands about runs take: their part of --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from qa.cli.flags import Json, OnBadExampleFlag


@dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare runs on the same examples: differences with intervals, tests, slices, learning curves.

    Runs that differ in the seed alone belong together; all others are compared with those of the first run.
    """

    runs: Positional[tuple[Path, ...]]
    """Run folders."""
    each: bool = False
    """Compare every run on its own, even where runs differ in the seed alone."""
    data: str | None = None
    """Where the references are: hub id, file, folder, or sample; none: where the runs had them."""
    split: str | None = None
    """Split of the references; none: the one that the runs were evaluated on."""
    plot: Path | None = None
    """Picture to draw (.png, .svg, .pdf): curves over steps and minutes, and differences by slice."""
    wandb: str | None = None
    """Project at W&B to send the tables to, as a run that reports can show; none: not sent."""
    json: Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train with a grid, random draws or a search of settings, times seeds, and compare the runs.

    The file is one of W&B's sweeps: method (grid, random, bayes), parameters (flags of train_qa.py), metric, run_cap,
    program, command. Every run has a folder of its own. Finished runs are skipped and broken ones resumed, so that
    the same command goes on with a sweep, and with what was added to the file.
    """

    file: Positional[Path]
    """Sweep file, in YAML."""
    out: Path | None = None
    """Folder of the runs, table.md, table.json and plot.png; none: runs/ and the file's name."""
    command: str | None = None
    """How a run is started, in place of the file's command: 'accelerate launch train_qa.py ${args}', or srun."""
    jobs: int = 1
    """Runs at once."""
    search_seed: int = 0
    """Seed of random settings and of the search (the method bayes, by Optuna)."""
    dry_run: bool = False
    """Print the commands of all runs, and run none."""
    json: Json = False
    """Print the table as one JSON object, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Show what a run answered wrongly: answers beside their references, marked in the context.

    Kinds: missed ("no answer" where there is one), invented (an answer where there is none), boundary (the answer
    overlaps a reference), elsewhere (it does not). Which answers are shown depends on the ids of the examples alone.
    """

    run: Positional[Path]
    """Folder of a run, or of a cross-validation."""
    kind: tuple[Literal["missed", "invented", "boundary", "elsewhere"], ...] = ()
    """Kinds shown; none: all."""
    examples: int | None = None
    """Answers shown; none: 10, and 500 on a page, a quarter of them right ones."""
    html: Path | None = None
    """Page to write: scores by slice, charts and answers to search in, in one file."""
    data: str | None = None
    """Where the references are: hub id, file, folder, or sample; none: where the run had them."""
    split: str = "validation"
    """Split of that source, where it has splits."""
    json: Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class Adapt:
    """Adapt a model to your own texts, without labels, before it is trained on few.

    Spans that recur in a text become questions: a sentence with a blank, whose answer stands elsewhere in the text. A
    run trains on them; with --train-data, a second run goes on from it with your labelled examples. The same command
    goes on where it was stopped.
    """

    texts: Positional[tuple[str, ...]]
    """Plain text files, folders with such files, or data sets whose contexts are taken."""
    model: str = "minilm"
    """Hub id or folder of the model to adapt, or minilm for the embedded default."""
    split: str = "train"
    """Split of texts that are data sets with splits."""
    examples: int = 20_000
    """Most questions to make."""
    held_out: int = 500
    """Questions, at most a tenth of all, that score the first run and are not trained on."""
    seed: int = 0
    """Seed of the choice of questions."""
    out: Path = Path("runs/adapt")
    """Folder of the questions and the runs."""
    train_data: str | None = None
    """Labelled examples to train on afterwards: hub id, file or folder; none: the adapted model is the result."""
    validation_data: str | None = None
    """Labelled examples that the second run is scored on; needed with --train-data."""
    adapt_command: str = "${interpreter} ${program} adapt"
    """How the first run is started, flags included; ${args} stands for those of this command."""
    command: str = "${interpreter} ${program} few-labels"
    """How the second run is started."""
    json: Json = False
    """Print the runs as one JSON object, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Crossval:
    """Train and score on folds of a data set: every example is answered by a model that has not seen its context.

    No context is in two folds. The folder gets the answers to all examples, so that `qa errors` and `qa compare` take
    it as they take a run. The same command goes on where it was stopped.
    """

    data: Positional[str]
    """Labelled examples: hub id, file, folder, or sample for the embedded data set."""
    split: str = "train"
    """Split, where the source has splits."""
    data_name: str | None = None
    """Configuration of a hub data set that has several."""
    on_bad_example: OnBadExampleFlag = "error"
    folds: int = 5
    """Parts of the data; each is answered by a model that is trained on the others."""
    seed: int = 0
    """Seed of the choice of folds."""
    out: Path | None = None
    """Folder of the runs and of what they found; none: runs/crossval- and the data's name."""
    command: str = "${interpreter} ${program} few-labels"
    """How a run is started, preset and flags included: '${interpreter} ${program} few-labels --model runs/squad/model'.
    ${program} is train_qa.py; ${args} stands for the flags of this command."""
    jobs: int = 1
    """Runs at once."""
    json: Json = False
    """Print everything as one JSON object."""
