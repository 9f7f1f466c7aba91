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
