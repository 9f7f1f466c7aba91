"""Answering on the CPU: the predictor with PyTorch, ONNX and 8-bit weights against the plain one-at-a-time loop.

    python -m tests.benchmarks.inference --model runs/demo/model --data squad.parquet --examples 300

The loop tokenises one example, runs it and takes the arg-max of starts and of ends: no windows, no n-best, no
probabilities. It is about as fast as the pipeline that transformers had. All take turns, and the fastest turn counts.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from qa.config import DataConfig
from qa.data import load_examples, take
from qa.export import export_onnx
from qa.metrics import raw_scores
from qa.model import load_reader
from qa.onnx_model import ONNX_FILES, load_onnx_reader
from qa.predictor import Predictor

TARGETS = {"torch": 1.25, "onnx_int8": 1.8}
"""Least examples a second, relative to the loop."""
MOST_F1_LOST = 1.0
"""Of 8-bit weights, against PyTorch's predictor."""


@torch.inference_mode()
def plain_loop(reader, asked, *, max_length=384):
    texts = []
    for one in asked:
        encoded = reader.tokenizer(
            one["question"], one["context"], truncation="only_second", max_length=max_length,
            return_offsets_mapping=True, return_tensors="pt",
        )  # fmt: skip
        offsets = encoded.pop("offset_mapping")[0].tolist()
        output = reader.model(**encoded)
        first, last = int(output.start_logits.argmax()), int(output.end_logits.argmax())
        texts.append(one["context"][offsets[first][0] : offsets[last][1]])
    return texts


def measure(model, examples, *, rounds=3):
    """Examples a second, speed relative to the loop, and F1 of every way of answering."""
    reader = load_reader(str(model))
    rows = list(examples.rows)
    asked = [{name: row[name] for name in ("question", "context")} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        ways = {"loop": lambda: plain_loop(reader, asked)} | {
            name: lambda predictor=predictor: [answer["answer"] for answer in predictor(asked)]
            for name, predictor in _predictors(reader, Path(folder)).items()
        }
        seconds, texts = dict.fromkeys(ways, float("inf")), {}
        for _ in range(rounds):
            for name, answer in ways.items():
                began = time.perf_counter()
                texts[name] = answer()
                seconds[name] = min(seconds[name], time.perf_counter() - began)
    references = {row["id"]: row["answers"]["text"] for row in rows}
    return {
        name: {
            "examples_per_second": len(rows) / took,
            "speed": seconds["loop"] / took,
            "f1": 100 * raw_scores(dict(zip(references, texts[name], strict=True)), references).f1.mean(),
        }
        for name, took in seconds.items()
    }


def _predictors(reader, folder):
    reader.tokenizer.save_pretrained(folder)
    reader.model.config.save_pretrained(folder)
    export_onnx(reader, folder)
    own = Predictor.of(reader, device=torch.device("cpu"))
    files = {name: load_onnx_reader(str(folder), name) for name in ONNX_FILES}
    settings = {"settings": own.settings}
    return {"torch": own} | {name: Predictor.of_onnx(found._replace(**settings)) for name, found in files.items()}


def failures(measured):
    """What is not reached, in words."""
    slow = [
        f"{name}: {measured[name]['speed']:.2f} x the loop; wanted {least}"
        for name, least in TARGETS.items()
        if measured[name]["speed"] < least
    ]
    lost = measured["torch"]["f1"] - measured["onnx_int8"]["f1"]
    return slow + ([f"onnx_int8: {lost:.2f} F1 lost; wanted {MOST_F1_LOST} at most"] if lost > MOST_F1_LOST else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="runs/demo/model")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    examples = take(load_examples(given.data, split="validation", config=DataConfig()), given.examples)
    measured = measure(given.model, examples, rounds=given.rounds)
    print(json.dumps(measured, indent=2))
    missed = failures(measured)
    print("\n".join(missed) or "all targets reached", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
