"""The process of one contestant; `contest.py` starts it."""

import json
import sys

from tests.benchmarks.contest import serve
from tests.benchmarks.contestants import Setup
from tests.benchmarks.stages import STAGES

if __name__ == "__main__":
    name, side, setup = sys.argv[1:]
    stage = next(stage for stage in STAGES if stage.name == name)
    serve(getattr(stage, side)(Setup(**json.loads(setup))))
