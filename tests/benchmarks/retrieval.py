"""How often the right paragraph of an article comes first: by a reader, by shared words (BM25), and by both.

    python -m tests.benchmarks.retrieval READER --data squad/validation.parquet --questions 200 [--backend onnx_int8]

Half of the questions, chosen by a hash of their ids, fit the weight of words; the other half is what is shown, beside
BM25 of whole words, which is what others have. Exits with 1 unless both together are right in 85 %, and in 5 % more
than that. A reader worth it has an F1 of 69 or more.
"""

import argparse
import json
import sys
from dataclasses import asdict

import bm25s

from qa.adaptation.words import find_words
from qa.cli.searches import fit_searches, questions_with_passages
from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.evaluation.calibration import first_half
from qa.inference.predictor import Predictor

LEAST, BETTER = 85.0, 5.0  # percent of the questions


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader")
    parser.add_argument("--data", required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--backend", default="torch")
    given = parser.parse_args()
    examples = load_examples(given.data, split="validation", config=DataConfig())
    whole = found_by_whole_words(*questions_with_passages(examples, given.questions))
    predictor = Predictor.from_pretrained(given.reader, backend=given.backend)
    found = fit_searches(predictor, examples, given.questions, batch_size=None)
    print(json.dumps(asdict(found) | {"whole_words": whole}, indent=2))
    return int(found.fitted < max(LEAST, whole + BETTER))


def found_by_whole_words(questions, passages):
    """Return how often BM25 of whole words finds the right passage, in percent of the half that is measured."""
    indices = {title: indexed(texts) for title, texts in passages.items()}
    halves = first_half([row["id"] for row in questions])
    measured = [row for row, is_seen in zip(questions, halves, strict=True) if not is_seen]
    right = [first(indices[row["title"]], row["question"]) == row["context"] for row in measured]
    return 100 * sum(right) / len(right)


def indexed(texts):
    index = bm25s.BM25()
    index.index([find_words(text).words for text in texts], show_progress=False)
    return index, texts


def first(indexed_texts, question):
    index, texts = indexed_texts
    return texts[int(index.get_scores(find_words(question).words).argmax())]


if __name__ == "__main__":
    sys.exit(main())
