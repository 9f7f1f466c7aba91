"""A million texts of all scripts of Unicode with every family of tokenizers: what must hold, holds.

    python -m tests.benchmarks.unicode_fuzz --texts 1000000 --seed 0 [--begin N] [--family bert ...]

Checked of each text and family: every character that is not white space is in a token, no token and no answer cuts a
grapheme cluster, every answer is its substring, special tokens in a text stay text, labels lack nothing of their
references, and those whose reference begins and ends with tokens translate back exactly. Labels that are wider, since
their reference begins or ends inside a token, are counted and some of them listed. The first text that breaks a promise
ends the run; `--begin` goes on at some of the texts, which depend on the seed and their place alone.
"""

import argparse
import random
import time
from collections import Counter

import torch

from tests.support import promises, tokenizers, unicode_texts

_AT_ONCE = 4000
_SHOWN = 2


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=int, default=0, help="the first text, a multiple of 4000")
    parser.add_argument("--longest", type=int, default=24, help="words of a text")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after these, with fewer texts")
    parser.add_argument("--family", nargs="+", choices=tokenizers.FAMILIES, default=tokenizers.FAMILIES)
    run(parser.parse_args(arguments))


def run(arguments):
    torch.set_num_threads(1)
    began, done, counts = time.perf_counter(), 0, {family: Counter() for family in arguments.family}
    listed = dict.fromkeys(arguments.family, ())
    while done < arguments.texts and time.perf_counter() - began < 60 * arguments.minutes:
        begin = arguments.begin + done
        chance = random.Random(f"{arguments.seed} {begin}")
        count = min(_AT_ONCE, arguments.texts - done)
        texts = promises.Texts.of(unicode_texts.rows(chance, count, arguments.longest))
        for family in arguments.family:
            trip = check(family, texts, begin)
            counts[family] += Counter(labels=trip.labelled, exact=trip.exact, wider=trip.wider)
            listed[family] = listed[family] or tuple(trip.shown_exceptions()[:_SHOWN])
        done += count
        print(f"{done} texts from {arguments.begin} on, {time.perf_counter() - began:.0f} s", flush=True)
    print(f"{done} texts x {len(counts)} families in {time.perf_counter() - began:.0f} s; nothing broke")
    for family, found in counts.items():
        print(f"{family:14} {found['labels']:9} labels, {found['exact']:9} exact, {found['wider']:9} wider, 0 narrower")
        for line in listed[family]:
            print(f"    {line[:160]}")


def check(family, texts, begin):
    try:
        return promises.check(tokenizers.tokenizer(family), texts, seed=begin)
    except BaseException:
        print(f"{family} broke a promise among the texts from {begin} on", flush=True)
        raise


if __name__ == "__main__":
    main()
