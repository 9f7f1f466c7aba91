"""Overlap F1 of all answers on questions with none, one or several: a head of tokens beside two readers of spans.

    python -m tests.benchmarks.several_answers --data FOLDER... [--out runs/several_answers] [--command 'accelerate …']

Each FOLDER holds train.parquet and validation.parquet, of SQuAD 1.1 or 2.0; paragraphs are taken from all of their
articles. Questions of a paragraph whose answers are apart are merged into one that asks for all of them. What is
learned are the questions as they were and the merged ones; what is scored are the merged ones and those that could not
be merged. The embedded list questions join both.

Readers of spans answer with their disjoint spans above a threshold: "spans" learns all answers of the same questions,
"reader" one answer to each question as it was, as readers are trained. All begin with the same model, which may be a
reader of spans, whose logits they go on from: --command '${interpreter} ${program} minilm-squad --model READER'. The
same command goes on where it was stopped: finished runs are kept.

Two tables: with the threshold fitted on what is scored, and with the number of answers fitted too, which helps readers
of spans. Exits with 1 unless tokens are better than both by 5 points in both tables.
"""

import argparse
import itertools
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from qa.inference.predictor import Predictor
from qa.metrics.multi_span import Counts, counts_of, normalised, scores_of
from qa.run_folder.paths import RunPaths

BAR = 5.0  # points of overlap F1
SCORE = "fitted_overlap_f1"
LIMITED = "limited_overlap_f1"
MOST_ANSWERS = 6  # of which a limit is fitted: no question here has more
MOST_MERGED = 3  # questions that become one
ANY_ODDS = 15.0  # threshold that nearly every span is under; not higher, since scores near 1 would be rounded to it
DISJOINT = {"head": "spans", "decoding.n-best": 200}  # so many spans that disjoint ones are left
LEARNERS = {
    "tokens": {"head": "tokens", "data.answers": "all"},
    "reader": {"head": "spans", "data.answers": "any"},
    "spans": {**DISJOINT, "data.answers": "all"},
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
    limited = [replace(one, scores=limited_scores(campaign, learned, one, data["validation"])) for one in results]
    table = {}
    for name, title, rows in (
        (SCORE, "overlap F1", summarised(results)),
        (LIMITED, "overlap F1, number of answers fitted", summarised(limited)),
    ):
        table[name] = {row.name: row.score.mean for row in rows}
        print(markdown(rows, title))
    write_json(options.out / "table.json", table)
    return int(min(lead(means) for means in table.values()) < BAR)


def lead(means):
    return means["tokens"] - max(means["spans"], means["reader"])


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
        lists = list(map(dict, load_examples("sample:lists", split=split, config=DataConfig(answers="all")).rows))
        rows = [row for one in squad for row in merged(one)]
        if split == "train":
            trained = {row["context"] for row in (*rows, *lists)}
            apart = [plain(row) for one in squad for row in one]
            files["apart"] = write_rows(options.out / "data" / "apart.jsonl", [*apart, *lists])
            known = {row["id"] for row in apart}
            rows = [*apart, *(row for row in rows if row["id"] not in known)]
        else:
            rows = [row for row in rows if row["context"] not in trained]
            lists = [row for row in lists if row["context"] not in trained]
        files[split] = write_rows(options.out / "data" / f"{split}.jsonl", [*rows, *lists])
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
    own_id = rows[0]["id"] + ("-joined" if len(rows) > 1 else "")
    return plain(rows[0]) | {"id": own_id, "question": question, "answers": answers}


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


def limited_scores(campaign, learned, result, questions):
    """Return, by seed, the best overlap F1 of what the learner's saved readers answer, with a limit to the number."""
    rows = load_examples(str(questions), split="validation", config=DataConfig(answers="all")).rows
    references = [row["answers"]["text"] for row in rows]
    asked = [{name: row[name] for name in ("question", "context")} for row in rows]
    scores = {}
    for seed in result.scores:
        reader = RunPaths(campaign.folder_of(learned[result.name, seed])).model
        answers = Predictor.from_pretrained(reader)(asked, answers="all", no_answer=ANY_ODDS, top_k=MOST_ANSWERS)
        scores[seed], most = best_limited(answers, references)
        print(f"{result.name}, seed {seed}: overlap F1 {scores[seed]:.2f} with at most {most} answers")
    return scores


def best_limited(answers, references):
    """Return the best overlap F1 over all thresholds and limits to the number of answers, and that limit.

    Args:
        answers: of every question, best first, with scores.
        references: right texts of every question.

    """
    scores = np.full((len(answers), MOST_ANSWERS), -np.inf)
    counts = np.empty((len(answers), MOST_ANSWERS + 1, len(Counts._fields)))
    for at, (found, right) in enumerate(zip(answers, references, strict=True)):
        scores[at, : len(found)] = [one["score"] for one in found]
        for number in range(MOST_ANSWERS + 1):
            texts = normalised([one["answer"] for one in found[:number]], "en")
            counts[at, number] = counts_of(texts, normalised(right, "en"))
    every = np.arange(len(answers))
    return max(
        (scores_of(Counts(*counts[every, np.minimum(above, most)].sum(axis=0)))["overlap_f1"], most)
        for above in ((scores >= least).sum(axis=1) for least in np.unique(scores[np.isfinite(scores)]))
        for most in range(1, MOST_ANSWERS + 1)
    )


if __name__ == "__main__":
    sys.exit(main())
