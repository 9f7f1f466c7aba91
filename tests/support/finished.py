"""Run folders as finished runs leave them, written in milliseconds."""

import json

from qa.config import RunConfig, config_values
from qa.metrics import score
from tests.support import tiny

ROWS = [*tiny.sample_rows("validation")[:60]]


def write_data(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def answers(right, rows=ROWS):
    """Answer the examples for which `right(place)` holds as the references say, the others wrongly."""
    return {row["id"]: (row["answers"]["text"] or [""])[0] if right(at) else "wrong" for at, row in enumerate(rows)}


def write_run(folder, data, found, /, *, history=None, rows=ROWS, **changes):
    """Write the folder of a run whose answers are `found`; `history` is of (step, seconds, F1)."""
    folder.mkdir(parents=True)
    config = RunConfig(validation_data=str(data), output_dir=folder, **changes)
    (folder / "config.json").write_text(json.dumps(config_values(config)))
    (folder / "predictions.json").write_text(json.dumps(found))
    references = {row["id"]: row["answers"]["text"] for row in rows if row["id"] in found}
    scores = score(found, references, null_odds=dict.fromkeys(found, -1.0))
    (folder / "metrics.json").write_text(json.dumps(scores))
    lines = [{"step": step, "seconds": seconds, "eval/f1": f1} for step, seconds, f1 in history or ()]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
