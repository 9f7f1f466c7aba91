"""Overlap F1 of all answers on questions with none, one or several: a head of tokens beside two readers of spans.

    python -m tests.benchmarks.several_answers --data FOLDER... [--out runs/several_answers] [--command 'accelerate …']

Each FOLDER holds train.parquet and validation.parquet, of SQuAD 1.1 or 2.0; paragraphs are taken from all of their
articles. Questions of a paragraph whose answers are apart are merged into one that asks for all of them; others stay as
they are; the embedded list questions join them.

Readers of spans answer with their disjoint spans above a threshold: "spans" learns all answers of the same questions,
"reader" one answer to each question before they are merged, as readers are trained. All thresholds are fitted on what
is scored. All begin with the same model, which may be a reader of spans, whose logits they go on from: --command
'${interpreter} ${program} minilm-squad --model READER'. The same command goes on where it was stopped: finished runs
are kept. Exits with 1 unless tokens are better by 5 points than both. The number of answers is not limited; a limit of
two, which suits questions merged by twos and threes, would help readers of spans.
"""

import argparse
import itertools
import json
import shlex
import sys
from pathlib import Path

import pyarrow.parquet as pq

from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.experiments.campaign import Campaign
from qa.experiments.commands import command_of
from qa.experiments.ledger import Ledger
from qa.experiments.running import Runner
from qa.experiments.settings import trial_of
from qa.experiments.summary import SettingResult, markdown, summarised
from qa.files import write_json, write_whole
from qa.run_folder.paths import RunPaths

BAR = 5.0  # points of overlap F1
SCORE = "fitted_overlap_f1"
MOST_MERGED = 3  # questions that become one
DISJOINT = {"head": "spans", "decoding.n-best": 200}  # so many spans that disjoint ones are left
LEARNERS = {
    "tokens": {"head": "tokens", "data.answers": "all"},
    "spans": {**DISJOINT, "data.answers": "all"},
    "reader": {"head": "spans", "data.answers": "any"},
}


def main():
    options = parsed()
    data = write_data(options)
    campaign = Campaign(folder=options.out, command=command_of(shlex.split(options.command), "train_qa.py"), say=print)
    learned = learning(options, campaign, data)
    scored = scoring(campaign, learned, data)
    campaign.check([*learned.values(), *scored.values()])
    ledger = Ledger.open(options.out)
    with Runner(1) as runner:
        for trials in (learned, scored):
            campaign.do(list(trials.values()), ledger, runner)
            if runner.stopped_by:
                return 128 + runner.stopped_by
    results = [collected(campaign, ledger, learned, scored, name) for name in LEARNERS]
    if not all(result.scores for result in results):
        return 1
    rows = summarised(results)
    write_json(options.out / "table.json", [{"name": row.name, SCORE: row.score.mean} for row in rows])
    print(markdown(rows, "overlap F1"))
    found = {row.name: row.score.mean for row in rows}
    return int(found["tokens"] - max(found["spans"], found["reader"]) < BAR)


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="train.parquet and validation.parquet each")
    parser.add_argument("--out", type=Path, default=Path("runs/several_answers"))
    parser.add_argument(
        "--questions", type=int, default=40_000, help="of each folder, before they are merged, to train on"
    )
    parser.add_argument("--scored", type=int, default=4_000, help="of each, before they are merged, to score on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--command", default="${interpreter} ${program} minilm-squad", help="that starts a run")
    return parser.parse_args()


def write_data(options):
    """Write both splits, and what is learned before it is merged; no paragraph of the one is in the other."""
    (options.out / "data").mkdir(parents=True, exist_ok=True)
    files, trained = {}, set()
    for split, count in (("train", options.questions), ("validation", options.scored)):
        sets = once(pq.read_table(folder / f"{split}.parquet").to_pylist() for folder in options.data)
        squad = [spread(one, count) for one in sets]
        lists = load_examples("sample:lists", split=split, config=DataConfig(answers="all")).rows
        rows = [row for one in squad for row in merged(one)]
        rows = [row for row in (*rows, *map(dict, lists)) if row["context"] not in trained]
        files[split] = write_rows(options.out / "data" / f"{split}.jsonl", rows)
        if split == "train":
            trained = {row["context"] for row in rows}
            apart = [plain(row) for one in squad for row in one]
            files["apart"] = write_rows(options.out / "data" / "apart.jsonl", [*apart, *map(dict, lists)])
    return files


def write_rows(path, rows):
    write_whole(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def once(sets):
    """Yield sets of rows without those that an earlier set has: SQuAD 2.0 holds questions of 1.1."""
    seen = set()
    for rows in sets:
        yield [row for row in rows if row["id"] not in seen]
        seen.update(row["id"] for row in rows)


def spread(rows, count):
    """Return about so many rows, whole paragraphs from everywhere."""
    paragraphs = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row["context"])]
    every = max(1, -(-len(rows) // count))
    return [row for paragraph in paragraphs[::every] for row in paragraph]


def merged(rows):
    """Yield, of every paragraph, questions joined by twos and threes where their answers are apart, and the others."""
    for context, paragraph in itertools.groupby(rows, key=lambda row: row["context"]):
        group, size = [], 2
        for row in paragraph:
            if not row["answers"]["text"]:
                yield plain(row)
            elif any(overlap(row, other) for other in group):
                yield joined(context, [row])
            else:
                group.append(row)
                if len(group) == size:
                    yield joined(context, group)
                    group, size = [], 5 - size  # by turns, so that both are learned
        yield from (joined(context, [row]) for row in group)


def joined(context, rows):
    """Return one question that asks for the first answers of some."""
    firsts = sorted((place(row) for row in rows), key=lambda one: one[0])
    answers = {"text": [context[start:end] for start, end in firsts], "answer_start": [start for start, _ in firsts]}
    question = " ".join(row["question"].strip() for row in rows)
    return plain(rows[0]) | {"question": question, "answers": answers}


def plain(row):
    return {name: row[name] for name in ("id", "title", "context", "question", "answers")}


def place(row):
    start = row["answers"]["answer_start"][0]
    return start, start + len(row["answers"]["text"][0])


def overlap(one, other):
    (start, end), (begin, stop) = place(one), place(other)
    return start < stop and begin < end


def learning(options, campaign, data):
    """Return the runs that learn, by name and seed."""
    return {
        (name, seed): trial_of({"learner": name}, settings(data, own), campaign.command.own_arguments, seed=seed)
        for name, own in LEARNERS.items()
        for seed in options.seeds
    }


def scoring(campaign, learned, data):
    """Return the runs that score for all answers what has learned one, by name and seed."""
    flags = settings(data, {**DISJOINT, "data.answers": "all", "training.max-steps": 0})
    return {
        (name, seed): trial_of(
            {"scored": name},
            flags | {"model": str(RunPaths(campaign.folder_of(trial)).model)},
            campaign.command.own_arguments,
            seed=seed,
        )
        for (name, seed), trial in learned.items()
        if trial.flags["data.answers"] == "any"
    }


def settings(data, own):
    questions = data["train" if own["data.answers"] == "all" else "apart"]
    files = {"train-data": str(questions), "validation-data": str(data["validation"])}
    return files | {"decoding.length-cost": 0.0} | own  # presets' cost is refused by a head that finds all answers


def collected(campaign, ledger, learned, scored, name):
    """Return what the learner's runs scored, and the minutes that they took, those of scoring them among these."""
    runs = {seed: trial for (one, seed), trial in (learned | scored).items() if one == name}
    done = {seed: trial for seed, trial in runs.items() if ledger.is_finished(trial, campaign.folder_of(trial))}
    parts = {seed: [found[name, seed] for found in (learned, scored) if (name, seed) in found] for seed in done}
    return SettingResult(
        name=name,
        names=tuple(trial.name for trial in runs.values()),
        scores={s: campaign.value(ledger.scores(campaign.folder_of(t)), t.name) for s, t in done.items()},
        minutes={seed: sum(ledger.runs[one.name].seconds for one in parts[seed]) / 60 for seed in done},
    )


if __name__ == "__main__":
    sys.exit(main())
