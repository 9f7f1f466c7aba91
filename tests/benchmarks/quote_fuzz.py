"""A million random sources and quotes: what is found is a stretch of its source, verbatim exactly if it is the quote.

    python -m tests.benchmarks.quote_fuzz --cases 1000000 --seed 0

The first case that breaks a promise ends the run.
"""

import argparse
import random
import time
from collections import Counter

from tests.support import quoted_texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.perf_counter()
    counts = run(given.cases, given.seed)
    print(f"{given.cases} cases in {time.perf_counter() - began:.0f} s: {dict(counts)}; nothing broke")


def run(cases, seed):
    chance = random.Random(seed)
    return Counter(quoted_texts.check(*quoted_texts.pair(chance)) for _ in range(cases))


if __name__ == "__main__":
    main()
