"""Sweep files, and a program that takes train_qa.py's flags and answers in milliseconds."""

import json
import textwrap

import yaml

PROGRAM = '''
"""Notes its flags, and scores by them: 50 + 10 * log10(rate / 1e-3) + seed, 5 more with averaging."""
import json, math, os, pathlib, sys, time
words = dict(word.removeprefix("--").partition("=")[::2] for word in sys.argv[1:] if "=" in word)
folder = pathlib.Path(words["output-dir"])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
rate, seed = float(words.get("training.learning-rate", 1e-3)), int(words.get("seed", 0))
{before}
score = 50 + 10 * math.log10(rate / 1e-3) + seed + 5 * (words.get("recipe.averaging", "none") != "none")
(folder / "metrics.json").write_text(json.dumps({{"f1": score, "exact_match": score / 2}}))
'''


ANSWERING = """
from qa.config import RunConfig, config_values
rows = [json.loads(line) for line in pathlib.Path(words["validation-data"]).read_text().splitlines()]
found = {row["id"]: (row["answers"]["text"] or [""])[0] if row["id"] not in WRONG else "wrong" for row in rows}
config = RunConfig(train_data=words["train-data"], validation_data=words["validation-data"], model="none/such")
(folder / "config.json").write_text(json.dumps(config_values(config)))
(folder / "predictions.json").write_text(json.dumps(found))
spans = lambda text: [{"text": text, "start": 0, "end": 1, "probability": 0.5}] if text else []
none = [{"text": "", "start": None, "end": None, "probability": 0.5}]
(folder / "nbest_predictions.json").write_text(json.dumps({key: spans(text) + none for key, text in found.items()}))
(folder / "null_odds.json").write_text(json.dumps({key: -1.0 if text else 1.0 for key, text in found.items()}))
"""


def answering(wrong=()):
    """What a program does before it scores, that answers its validation data, some of them wrongly."""
    return f"WRONG = {set(wrong)!r}\n{ANSWERING}"


def write_program(folder, before=""):
    """Write the program; `before` is done before it scores."""
    path = folder / "train_qa.py"
    path.write_text(PROGRAM.format(before=textwrap.dedent(before)))
    return path


def calls(folder, runs="*"):
    """Flags of each time that the program ran, by the name of the run's folder."""
    found = {path.parent.name: path.read_text().splitlines() for path in sorted(folder.glob(f"{runs}/calls.jsonl"))}
    return {name: [json.loads(line) for line in lines] for name, lines in found.items()}


def write_sweep(folder, *, method="grid", name="sweep.yaml", program=None, **keys):
    path = folder / name
    content = {"method": method} | ({"program": str(program)} if program is not None else {}) | keys
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def values(*found):
    return {"values": list(found)}
