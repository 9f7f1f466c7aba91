"""How well `qa.ground` with a reader tells right claims in other words from wrong ones, made of SQuAD's questions.

    python -m tests.benchmarks.paraphrases --model READER --data FOLDER [--claims 300] [--min-score 0.5 …]

FOLDER holds validation.parquet. A question that begins with "who" and a verb becomes a claim: "Who named the river?"
with its reference "Orellana", "Orellana named the river." Half of the claims are wrong: in place of the reference
stands that of another question of the same paragraph, so that every word and name of the claim is there. The reader
should have learned to say "no answer", as `minilm-squad-v2` does. Printed are the shares of right and of wrong claims
that are called supported, of the former also with the reference in the text that is returned, and how often a right
claim has the higher score of a right and a wrong one (the area under the ROC curve).
"""

import argparse
import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from qa import Predictor, ground

VERBS = {"is", "was", "are", "were", "has", "had", "did", "does", "do", "can", "could", "will", "would", "should"}
"""After "who" these begin a question whose claim has another order of words."""


class Claim(NamedTuple):
    """A sentence, the paragraph that it is looked for in, and the reference that makes it right; None: it is wrong."""

    text: str
    source: str
    reference: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", required=True, help="reader, as everywhere")
    parser.add_argument("--data", type=Path, required=True, help="folder with validation.parquet")
    parser.add_argument("--claims", type=int, default=300, help="right ones and wrong ones together")
    parser.add_argument("--min-score", type=float, nargs="+", default=[0.3, 0.5, 0.7, 0.9])
    options = parser.parse_args()
    claims = drawn(claims_of(pq.read_table(options.data / "validation.parquet").to_pylist()), options.claims)
    reader = Predictor.from_pretrained(options.model)
    rows = [ground([claim.text], claim.source, reader=reader, min_score=0.0)[0] for claim in claims]
    told = [
        (claim, row) for claim, row in zip(claims, rows, strict=True) if row["verdict"] not in ("verbatim", "moved")
    ]
    scores = np.array([row["score"] for _, row in told])
    right = np.array([claim.reference is not None for claim, _ in told])
    placed = np.array([in_place(claim, row["text"]) for claim, row in told])
    print(f"{right.sum()} right claims, {(~right).sum()} wrong ones; area under the curve {area(scores, right):.3f}")
    print("| min_score | right: supported | and in the right place | wrong: called supported |\n|---|---|---|---|")
    for least in options.min_score:
        print(f"| {least:g} | " + " | ".join(f"{share:.1%}" for share in shares(scores >= least, right, placed)) + " |")
    return 0


def in_place(claim: Claim, text: str) -> bool:
    """Return whether a source's text holds a right claim's reference, or is a part of it."""
    return bool(text and claim.reference and (claim.reference in text or text in claim.reference))


def shares(told: np.ndarray, right: np.ndarray, placed: np.ndarray) -> tuple[float, float, float]:
    """Return the share of right claims told to be supported, of those in the right place too, and of wrong ones."""
    return float(told[right].mean()), float((told & placed)[right].mean()), float(told[~right].mean())


def claims_of(rows: list[dict]) -> Iterator[Claim]:
    """Yield claims, right and wrong by turns, of every paragraph that has both."""
    for context, group in itertools.groupby(rows, key=lambda row: row["context"]):
        paragraph = [row for row in group if row["answers"]["text"]]
        for at, row in enumerate(paragraph):
            claimed = claimed_of(row["question"])
            own = row["answers"]["text"]
            others = [one["answers"]["text"][0] for one in paragraph if not same(own, one["answers"]["text"])]
            others = [one for one in others if one[0].isupper() and one not in row["question"]]
            if claimed and others and own[0] not in row["question"]:
                wrong = others[at % len(others)]
                yield Claim(f"{own[0]} {claimed}.", context, own[0])
                yield Claim(f"{wrong} {claimed}.", context, None)


def claimed_of(question: str) -> str | None:
    """Return what a question asks who did: its words after "who", or None where their order would have to change."""
    words = question.strip().rstrip("?").split()
    if len(words) < 4 or words[0].lower() != "who" or words[1].lower() in VERBS:
        return None
    return " ".join(words[1:])


def same(own: list[str], other: list[str]) -> bool:
    """Return whether two questions' references share a text, or a part of one."""
    return any(one in another or another in one for one in own for another in other)


def drawn(claims: Iterator[Claim], count: int) -> list[Claim]:
    """Return some pairs of a right and a wrong claim, from everywhere."""
    every = list(claims)
    pairs = list(zip(every[::2], every[1::2], strict=True))
    random.Random(0).shuffle(pairs)
    return list(itertools.chain.from_iterable(pairs[: count // 2]))


def area(scores: np.ndarray, right: np.ndarray) -> float:
    """Return how often a right claim's score is above a wrong one's; equal ones count half."""
    above = scores[right][:, None] - scores[~right][None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


if __name__ == "__main__":
    sys.exit(main())
