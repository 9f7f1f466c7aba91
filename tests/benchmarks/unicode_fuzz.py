"""A million texts of all scripts of Unicode with every family of tokenizers: what must hold, holds.

    python -m tests.benchmarks.unicode_fuzz --texts 1000000 --seed 0 [--family bert …]

Checked of each text and family: every character that is not white space is in a token, no token and no answer cuts a
grapheme cluster, every answer is its substring, special tokens in a text stay text, labels lack nothing of their
references, and those whose reference begins and ends with tokens translate back exactly. Labels that are wider, since
their reference begins or ends inside a token, are counted and some of them listed. The first text that breaks a promise
ends the run.
"""

import argparse
import random
import time
from collections import Counter

import torch

from tests.support import tokenizers, unicode_texts

_AT_ONCE = 1000
_SHOWN = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after these, with fewer texts")
    parser.add_argument("--family", nargs="+", choices=tokenizers.FAMILIES, default=tokenizers.FAMILIES)
    run(parser.parse_args())


def run(arguments):
    torch.set_num_threads(1)
    began, done, counts = time.perf_counter(), 0, {family: Counter() for family in arguments.family}
    chance, listed = random.Random(arguments.seed), dict.fromkeys(arguments.family, ())
    while done < arguments.texts and time.perf_counter() - began < 60 * arguments.minutes:
        rows = unicode_texts.rows(chance, min(_AT_ONCE, arguments.texts - done))
        for family in arguments.family:
            trip = unicode_texts.check(tokenizers.tokenizer(family), rows, seed=arguments.seed + done)
            counts[family] += Counter(labels=trip.labelled, exact=trip.exact, wider=trip.wider)
            listed[family] = listed[family] or tuple(trip.shown_exceptions()[:_SHOWN])
        done += len(rows)
        print(f"{done} texts, {time.perf_counter() - began:.0f} s", end="\r", flush=True)
    print(f"{done} texts x {len(counts)} families in {time.perf_counter() - began:.0f} s; nothing broke")
    for family, found in counts.items():
        print(f"{family:14} {found['labels']:9} labels, {found['exact']:9} exact, {found['wider']:9} wider, 0 narrower")
        for line in listed[family]:
            print(f"    {line[:160]}")


if __name__ == "__main__":
    main()
