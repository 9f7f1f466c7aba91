"""F1 on the SQuAD dev set with few labels: from the embedded model, and from the same adapted to unlabelled texts.

    python -m tests.benchmarks.few_labels --data FOLDER [--out runs/few_labels] [--command 'accelerate launch …']

FOLDER holds train.parquet and validation.parquet. Sets of 128, 512 and 2,048 labels are drawn with each of three seeds;
`qa adapt` makes its questions of all contexts of the train set, whose labels it does not see; the adapted model is also
scored without any label. More labels than 512 are passed over less often, in the steps that 512 take: 2,048 three times
instead of twelve. The same command goes on where it was stopped: finished runs are kept. Exits with 1 unless
adapting is worth 10 F1 at the fewest labels.
"""

import argparse
import json
import random
import shlex
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qa.cli.main import main as qa
from qa.experiments.campaign import Campaign
from qa.experiments.commands import command_of
from qa.experiments.ledger import Ledger
from qa.experiments.plots import plot_estimates
from qa.experiments.running import Runner
from qa.experiments.settings import trial_of
from qa.experiments.summary import SettingResult, markdown, summarised
from qa.files import write_json, write_whole

MOST_PASSED = 12 * 512
"""Examples that training goes through, those of the preset's passes over 512 labels."""
BAR = 10.0  # points of F1 that adapting is worth with the fewest labels
SCORE = "f1"


def main() -> int:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    labels = write_labels(options)
    adapted = adapt(options)
    words = shlex.split(options.command)
    campaign = Campaign(folder=options.out, command=command_of(words, "train_qa.py"), say=print, metric=SCORE)
    trials = planned(options, campaign, labels, {"labels alone": "minilm", "adapted": str(adapted / "model")})
    campaign.check(list(trials.values()))
    ledger = Ledger.open(options.out)
    with Runner(options.jobs) as runner:
        campaign.do(list(trials.values()), ledger, runner)
    if runner.stopped_by:
        return 128 + runner.stopped_by
    results = collected(campaign, ledger, trials)
    report(options, results)
    return int(worth(results, min(options.labels)) < BAR)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--out", type=Path, default=Path("runs/few_labels"))
    parser.add_argument("--labels", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--questions", type=int, default=40_000, help="that the model is adapted on")
    parser.add_argument("--scored", type=int, help="examples of the dev set; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="runs on labels at once; OMP_NUM_THREADS shares out cores")
    parser.add_argument("--command", default="${interpreter} ${program} few-labels", help="that starts a run on labels")
    parser.add_argument(
        "--adapt-command", default="${interpreter} ${program} adapt", help="that starts the run on texts"
    )
    return parser.parse_args()


def write_labels(options):
    """Draw the sets of labels; a smaller one of a seed is the beginning of a larger one."""
    table = pq.read_table(options.data / "train.parquet")
    files = {}
    for seed in options.seeds:
        order = random.Random(seed).sample(range(len(table)), max(options.labels))
        for count in options.labels:
            files[count, seed] = options.out / "labels" / f"{count}-{seed}.jsonl"
            files[count, seed].parent.mkdir(exist_ok=True)
            rows = table.take(pa.array(order[:count])).to_pylist()
            write_whole(files[count, seed], "".join(f"{json.dumps(row)}\n" for row in rows))
    return files


def adapt(options):
    """Adapt the model to the texts; return the folder of the run."""
    out = options.out / "adapt"
    arguments = ["adapt", str(options.data / "train.parquet"), "--out", str(out)]
    status = qa([*arguments, "--examples", str(options.questions), "--adapt-command", options.adapt_command])
    if status:
        sys.exit(status)
    (run,) = [folder for folder in out.glob("stage=adapted-*") if (folder / "metrics.json").is_file()]
    return run


def planned(options, campaign, labels, models):
    """Return the runs by way, number of labels and seed."""
    fixed = {"validation-data": str(options.data / "validation.parquet"), "training.evaluate-every": 0}
    if options.scored is not None:
        fixed["max-validation-examples"] = options.scored
    runs = {
        (way, count, seed): trial_of(
            {"way": way, "labels": count},
            {"model": model, "train-data": str(labels[count, seed]), **passes(count), **fixed},
            campaign.command.own_arguments,
            seed=seed,
        )
        for way, model in models.items()
        for count in options.labels
        for seed in options.seeds
    }
    data = {"train-data": next(str(path) for path in labels.values()), **fixed, "training.max-steps": 0}
    alone = trial_of(
        {"way": "adapted", "labels": 0}, {"model": models["adapted"], **data}, campaign.command.own_arguments
    )
    return {("adapted", 0, None): alone} | runs


def passes(count):
    """Return how often a run goes through so many labels, where that is not what the preset says."""
    return {"training.epochs": MOST_PASSED / count} if 12 * count > MOST_PASSED else {}


def collected(campaign, ledger, trials):
    """Return what was found by way and number of labels."""
    found = {}
    for way, count in dict.fromkeys((way, count) for way, count, _ in trials):
        runs = {seed: trial for (w, c, seed), trial in trials.items() if (w, c) == (way, count)}
        done = {seed: trial for seed, trial in runs.items() if ledger.is_finished(trial, campaign.folder_of(trial))}
        found[way, count] = SettingResult(
            name=f"{count} labels, {way}",
            names=tuple(trial.name for trial in runs.values()),
            scores={s: campaign.value(ledger.scores(campaign.folder_of(t)), t.name) for s, t in done.items()},
            minutes={seed: ledger.runs[trial.name].seconds / 60 for seed, trial in done.items()},
        )
    return found


def report(options, results):
    rows = summarised(list(results.values()))
    table = markdown(rows, "F1")
    write_whole(options.out / "table.md", table)
    write_json(
        options.out / "table.json", [{"name": row.name, "f1": row.score.mean, "single": row.single} for row in rows]
    )
    scored, single = [(row.name, row.score) for row in rows], [row.single for row in rows]
    plot_estimates(scored, single, options.out / "plot.png", label="F1")
    print(table)


def worth(results, count):
    """Return what adapting adds with so many labels, in points."""
    return results["adapted", count].score.mean - results["labels alone", count].score.mean


if __name__ == "__main__":
    sys.exit(main())
