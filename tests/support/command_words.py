"""Files and folders that commands are tried with, each made when it is first named."""

import json
import shutil
from dataclasses import replace

from qa.config import RecipeConfig
from qa.data.store import stored
from tests.adaptation.test_clozes import FILLERS, TEXT
from tests.support import tiny
from tests.support.checkpoints import averaged_run
from tests.support.finished import ROWS, answers, write_data, write_run
from tests.support.predictors import SETTINGS, saved
from tests.support.rows import LONG, write
from tests.support.sweeps import answering, values, write_program, write_sweep

FEW = [*ROWS[:5], tiny.example("Who was it?", "Nobody was here.", id="none")]
OTHERS, MORE = ROWS[20:26], ROWS[24:48]
PLACELESS = [
    row | {"answers": {"text": row["answers"]["text"], "answer_start": [-1] * len(row["answers"]["text"])}}
    for row in FEW
]
MOVED = tiny.example("What sat?", "the cat and the cat sat", ("sat", 3), id="moved")
BLANK = tiny.example("What?", " ", id="blank")
TITLED = [row | {"id": f"t{at}", "title": f"part {at % 4}"} for at, row in enumerate(ROWS)]
NONE = {"text": [], "answer_start": []}
COPY_OF = "COPY_OF_"
NAMES = ("Aker", "Bergen", "Dale", "Elverum", "Farsund", "Gran")


class Words(dict):
    """Paths by the words that stand for them."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, word):
        self[word] = str(MAKERS[word](self, self.folder / word.lower()))
        return self[word]

    def expanded(self, value, work):
        """The value of a flag with paths in the place of words."""
        if isinstance(value, tuple):
            return tuple(self.expanded(one, work) for one in value)
        if not isinstance(value, str):
            return value
        if value.startswith("WORK/"):
            return value.replace("WORK", str(work), 1)
        if value.startswith(COPY_OF):  # of what a command changes
            return str(shutil.copytree(self[value.removeprefix(COPY_OF)], work / "copy"))
        word, slash, inside = value.partition("/")
        return f"{self[word]}{slash}{inside}" if word in MAKERS else value


def _lines(*rows):
    return lambda _, path: write(path.with_suffix(".jsonl"), rows)


def _folder_of_splits(_, path):
    path.mkdir()
    for name, rows in (("train", ROWS[:24]), ("validation", FEW), ("other", MORE)):
        write(path / f"{name}.jsonl", rows)
    return path


def _rewritten(_, path):
    """The examples of the runs with other references."""
    path.mkdir()
    for name, kept in (("train", 24), ("test", 0), ("other", 12)):
        rows = [row | {"answers": row["answers"] if at < kept else NONE} for at, row in enumerate(ROWS[:24])]
        write(path / f"{name}.jsonl", rows)
    return path


def _predictions(rows, told, *, odds=None):
    """Lines as `qa predict` writes them, of what is told of each row."""

    def record(row):
        text = told(row)
        return {"id": row["id"], "answer": text, "best_span": text or "here"} | (
            {} if odds is None else {"null_odds": odds if text else 2.0}
        )

    return lambda _, path: write(path.with_suffix(".jsonl"), [record(row) for row in rows])


def right(row):
    return (row["answers"]["text"] or [""])[0]


def _lists(rows):
    """Lines as `qa predict --answers all` writes them, with all references."""

    def record(row):
        texts = row["answers"]["text"]
        return {"id": row["id"], "answer": right(row), "answers": [{"answer": text} for text in texts]}

    return lambda _, path: write(path.with_suffix(".jsonl"), [record(row) for row in rows])


def _official(value):
    return lambda _, path: write(path.with_suffix(".json"), {row["id"]: value(row) for row in FEW})


def _run(keep, **changes):
    """A finished run on the first examples, whose answers are right where `keep` says so."""

    def made(words, path):
        rows = ROWS[:24]
        found = answers(keep, rows)
        folder = write_run(path, words["EXAMPLES"], found, rows=rows, model="none/such", **changes)
        spans = {
            key: [{"text": text, "start": 0, "end": len(text), "probability": 0.5}] if text else []
            for key, text in found.items()
        }
        none = [{"text": "", "start": None, "end": None, "probability": 0.5}]
        (folder / "nbest_predictions.json").write_text(json.dumps({key: one + none for key, one in spans.items()}))
        return folder

    return made


def _cache(count):
    def made(_, path):
        path.mkdir()
        for at in range(count):
            stored(path, str(at) * 32, lambda folder: (folder / "rows.arrow").write_bytes(b"x" * 2048))
        return path

    return made


def _sentences(name):
    changed = TEXT.replace("Skarholm", name).replace("Lund", f"{name}sen")
    return changed + "\n".join(FILLERS)


def _texts(_, path):
    path.mkdir()
    for name in NAMES[:4]:
        (path / f"{name}.txt").write_text(_sentences(name))
    return path


def _articles_by_split(_, path):
    path.mkdir()
    for split, some in (("train", NAMES[:4]), ("other", NAMES[2:])):
        rows = [tiny.example("What?", _sentences(name), id=name, title=name) for name in some]
        write(path / f"{split}.jsonl", rows)
    return path


def _sweep(parameters, **keys):
    def made(_, path):
        path.mkdir()
        return write_sweep(path, parameters=parameters, **keys)

    return made


def _averaged(_, path):
    averaged_run(path)
    return path


MAKERS = {
    # models
    "READER": lambda _, path: saved(path),
    "OTHER_READER": lambda _, path: saved(path, seed=1),
    "BYTES": lambda _, path: saved(path, "roberta"),
    "COLD": lambda _, path: saved(path, own=replace(SETTINGS, temperature=0.1)),
    # examples
    "DATA": _lines(*FEW),
    "OTHER": _lines(*OTHERS),
    "SPLITS": _folder_of_splits,
    "BAD": _lines(*FEW, MOVED),
    "WORSE": _lines(*FEW, BLANK),
    "PLACELESS": _lines(*PLACELESS),
    "TITLED": _lines(*TITLED),
    "EXAMPLES": lambda _, path: write_data(path.with_suffix(".jsonl"), ROWS[:24]),
    "WHOLE": _lines(
        *(row | {"answers": {"text": [row["context"]], "answer_start": [0]}} for row in ROWS[:12])
    ),  # so that whatever an untrained reader answers shares words with its reference
    "LONG": _lines(
        *(tiny.example(f"Who built it at {name}?", LONG, "Lund", id=name) for name in ("Skarholm", "Bergen"))
    ),
    "REWRITTEN": _rewritten,
    # texts
    "TEXT": lambda _, path: write(path, "Francisco de Orellana named it in 1541."),
    "OTHER_TEXT": lambda _, path: write(path, "It was named by Orellana, in 1542."),
    "WORD": lambda _, path: write(path, tiny.one_token_word()),
    "TEXTS": _texts,
    "ARTICLES_BY_SPLIT": _articles_by_split,
    # predictions
    "RIGHT": _predictions(FEW, right, odds=-1.0),
    "LISTS": _lists(FEW),
    "WRONG": _predictions(FEW, lambda _: "wrong", odds=-1.0),
    "PARTIAL": _predictions(FEW[:3], right, odds=-1.0),
    "BOTH": _predictions([*FEW, *MORE], right, odds=-1.0),
    "ARTICLES": _predictions(FEW, lambda row: f"the {right(row)}" if right(row) else ""),
    "OFFICIAL": _official(right),
    "ODDS": _official(lambda _: 0.5),
    # runs
    "RUN": _run(lambda at: at % 2 == 0, seed=1),
    "SAME_RUN": _run(lambda at: at % 3 == 0, seed=2),
    "OTHER_RUN": _run(lambda at: at % 3 == 1, seed=1, recipe=RecipeConfig(averaging="ema")),
    "AVERAGED": _averaged,
    # sweeps
    "SWEEP": _sweep({"training.learning-rate": values(1e-3, 1e-2)}),
    "OTHER_SWEEP": _sweep({"training.learning-rate": values(1e-2, 1e-1)}),
    "RANDOM_SWEEP": _sweep(
        {"training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}},
        method="random",
        run_cap=2,
    ),
    # caches
    "CACHE": _cache(2),
    "SMALL_CACHE": _cache(1),
}


def prepare(command, work):
    """Put into the folder of a run what commands find there."""
    (work / "done.jsonl").write_text("{}\n")
    write_program(work, answering() if command == "crossval" else "")
