"""How often the right paragraph of an article comes first: by a reader, by shared words (BM25), and by both.

    python -m tests.benchmarks.retrieval READER --data squad/validation.parquet --questions 200 [--backend onnx_int8]

Half of the questions, spread evenly over the data, fit the weight of words; the other half is what is shown.
"""

import argparse
import json
from dataclasses import asdict

from qa.cli.searches import fit_searches
from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.inference.predictor import Predictor


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader")
    parser.add_argument("--data", required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--backend", default="torch")
    given = parser.parse_args()
    predictor = Predictor.from_pretrained(given.reader, backend=given.backend)
    examples = load_examples(given.data, split="validation", config=DataConfig())
    print(json.dumps(asdict(fit_searches(predictor, examples, given.questions, batch_size=None)), indent=2))


if __name__ == "__main__":
    main()
